// What every arbiter must do, whatever its store is; and the checks that the tests of both share.

import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {FtvmError} from '../../src/errors.ts';
import type {Arbiter} from '../../src/replication/arbiter.ts';

export const A = '11111111-1111-4111-8111-111111111111';
export const B = '22222222-2222-4222-8222-222222222222';

export function anyLineage(): string {
  return crypto.randomUUID().replaceAll('-', '');
}

/** Declares the tests. `open` gives another arbiter on the same store at each call; whoever opened closes. */
export function itArbitrates(open: () => Arbiter): void {
  const opened: Arbiter[] = [];
  const openOne = (): Arbiter => {
    const arbiter = open();
    opened.push(arbiter);
    return arbiter;
  };
  let lineageId: string;
  let arbiter: Arbiter;
  beforeEach(() => {
    lineageId = anyLineage();
    arbiter = openOne();
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((one) => one.close()));
  });

  it('gives a generation to one claimant, for good', async () => {
    assert.equal(await arbiter.current(lineageId), undefined);
    assert.deepEqual(await arbiter.claim({lineageId, generation: 1, claimant: A}), {kind: 'won'});
    assert.deepEqual(await openOne().claim({lineageId, generation: 1, claimant: B}), {kind: 'lost', by: A});
    assert.deepEqual(await arbiter.claim({lineageId, generation: 1, claimant: A}), {kind: 'won'});
    assert.deepEqual(await openOne().claim({lineageId, generation: 1, claimant: A}), {kind: 'won'});
    assert.deepEqual(await openOne().claim({lineageId, generation: 2, claimant: B}), {kind: 'won'});
    assert.deepEqual(await arbiter.current(lineageId), {generation: 2, claimant: B});
  });

  it('keeps lineages apart', async () => {
    const other = anyLineage();
    assert.deepEqual(await arbiter.claim({lineageId, generation: 1, claimant: A}), {kind: 'won'});
    assert.deepEqual(await arbiter.claim({lineageId: other, generation: 1, claimant: B}), {kind: 'won'});
    assert.deepEqual(await arbiter.current(other), {generation: 1, claimant: B});
  });

  it('compares generations as numbers', async () => {
    for (let generation = 1; generation <= 11; generation++) await arbiter.claim({lineageId, generation, claimant: A});
    assert.deepEqual(await arbiter.current(lineageId), {generation: 11, claimant: A});
  });

  it('keeps nonces', async () => {
    const other = openOne();
    await arbiter.claim({lineageId: anyLineage(), generation: 1, claimant: A});
    assert.equal(await other.getNonce(lineageId, 'pair'), undefined);
    await arbiter.putNonce(lineageId, 'pair', 'abc');
    assert.equal(await other.getNonce(lineageId, 'pair'), 'abc');
    await other.putNonce(lineageId, 'pair', 'def');
    assert.equal(await arbiter.getNonce(lineageId, 'pair'), 'def');
    assert.equal(await arbiter.getNonce(lineageId, 'other'), undefined);
    assert.equal(await arbiter.current(lineageId), undefined);
  });

  it('has one winner among many that claim at once', async () => {
    const claimants = Array.from({length: 12}, () => ({arbiter: openOne(), claimant: crypto.randomUUID()}));
    for (let generation = 1; generation <= 5; generation++) {
      const results = await Promise.all(
        claimants.map((one) => one.arbiter.claim({lineageId, generation, claimant: one.claimant})),
      );
      const winners = claimants.filter((_, index) => results[index]!.kind === 'won');
      assert.equal(winners.length, 1);
      for (const result of results) if (result.kind === 'lost') assert.equal(result.by, winners[0]!.claimant);
      assert.deepEqual(await arbiter.current(lineageId), {generation, claimant: winners[0]!.claimant});
    }
  });

  it('refuses what can be no claim', async () => {
    const claim = {lineageId, generation: 1, claimant: A};
    await assert.rejects(async () => arbiter.claim({...claim, lineageId: '../x'}), /lineage/);
    await assert.rejects(async () => arbiter.claim({...claim, generation: 0}), /generation/);
    await assert.rejects(async () => arbiter.claim({...claim, generation: 1.5}), /generation/);
    await assert.rejects(async () => arbiter.claim({...claim, claimant: 'a/b'}), /claimant/);
    await assert.rejects(async () => arbiter.putNonce(lineageId, 'a.b', 'x'), /nonce name/);
    await assert.rejects(async () => arbiter.current('*'), /lineage/);
  });

  it('answers nothing after it was closed', async () => {
    await arbiter.close();
    await assert.rejects(arbiter.claim({lineageId, generation: 1, claimant: A}), isUnreachable(/closed/));
    await assert.rejects(arbiter.current(lineageId), isUnreachable(/closed/));
  });
}

export function isUnreachable(message: RegExp, hint = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof FtvmError, String(error));
    assert.equal(error.code, 'arbiterUnreachable');
    assert.match(error.message, message);
    assert.match(error.hint ?? '', hint);
    return true;
  };
}

/** Asks until there is an answer; undefined after `attempts` without one. */
export async function untilKnown<T>(question: () => Promise<T>, attempts = 200): Promise<T | undefined> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    try {
      return await question();
    } catch (error) {
      if (!(error instanceof FtvmError && error.code === 'arbiterUnreachable')) throw error;
    }
  }
  return undefined;
}

export type RaceResults = {claimant: string; results: string[]};

/** A claimant in a process of its own (race-process.ts). */
export function raceProcess(spec: string, lineageId: string, generations: number): Promise<RaceResults> {
  const program = fileURLToPath(new URL('race-process.ts', import.meta.url));
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, spec, lineageId, String(generations)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(JSON.parse(text) as RaceResults) : reject(new Error(`a claimant ended with code ${code}`)),
    );
  });
}

export function assertOneWinner(all: readonly RaceResults[], generations: number): void {
  for (let index = 0; index < generations; index++) {
    const winners = all.filter(({results}) => results[index] === 'won').map(({claimant}) => claimant);
    assert.equal(winners.length, 1, `generation ${index + 1}`);
    for (const {results} of all) assert.ok(results[index] === 'won' || results[index] === winners[0]);
  }
}
