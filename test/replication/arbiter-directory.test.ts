// The directory arbiter: on a real folder, raced for by real processes, and on a simulated file server that fails, forgets and crashes.
// Whatever happens, at most one claimant is told that it has won a generation.

import assert from 'node:assert/strict';
import {chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {FtvmError} from '../../src/errors.ts';
import {HOST_SHARED_FOLDER, type SharedFolder} from '../../src/host/shared-folder.ts';
import type {Arbiter, Claim, ClaimResult} from '../../src/replication/arbiter.ts';
import {DirectoryArbiter} from '../../src/replication/arbiter-directory.ts';
import {SEED} from '../chaos/seed.ts';
import {Random} from '../differential/random.ts';
import {TemporaryFolder} from '../support/ftvm.ts';
import {A, assertOneWinner, B, isUnreachable, itArbitrates, raceProcess, untilKnown} from './arbiter-contract.ts';
import {type FolderFaults, NO_FAULTS, SimulatedFileServer} from './simulated-folder.ts';

const LINEAGE = '0123456789abcdef0123456789abcdef';

describe('the directory arbiter', () => {
  let folder: TemporaryFolder;
  let arbiter: DirectoryArbiter;
  beforeEach(() => {
    folder = new TemporaryFolder();
    arbiter = new DirectoryArbiter({spec: `dir:${folder.path}`, path: folder.path});
  });
  afterEach(() => folder[Symbol.dispose]());

  itArbitrates(() => new DirectoryArbiter({spec: 'dir:contract', path: folder.path}));

  it('leaves the claims behind, and nothing else', async () => {
    for (const generation of [1, 2, 10]) await arbiter.claim({lineageId: LINEAGE, generation, claimant: A});
    await arbiter.claim({lineageId: LINEAGE, generation: 2, claimant: B});
    await arbiter.current(LINEAGE);
    await arbiter.putNonce(LINEAGE, 'pair', 'abc');
    await arbiter.close();
    const names = [1, 10, 2].map((generation) => `${LINEAGE}.${generation}`);
    assert.deepEqual(readdirSync(folder.path).sort(), [...names, `${LINEAGE}.nonce-pair`]);
    assert.equal(readFileSync(folder.join(names[0]!), 'utf8'), `${A}\n`);
  });

  it('ignores what is none of its own', async () => {
    for (const name of ['x', `${LINEAGE}.`, `${LINEAGE}.01`, `${LINEAGE}.1.tmp`, `${LINEAGE}.x`, `x${LINEAGE}.7`]) {
      writeFileSync(folder.join(name), 'nonsense');
    }
    mkdirSync(folder.join('lost+found'));
    assert.equal(await arbiter.current(LINEAGE), undefined);
  });

  it('neither wins nor loses against a damaged claim', async () => {
    for (const [index, content] of ['', '\n', `${A}\n${B}\n`, 'x'.repeat(5000), '\0\0\0\0'].entries()) {
      writeFileSync(folder.join(`${LINEAGE}.${index + 1}`), content);
      await assert.rejects(
        arbiter.claim({lineageId: LINEAGE, generation: index + 1, claimant: A}),
        isUnreachable(/damaged claim/),
      );
    }
    await assert.rejects(arbiter.current(LINEAGE), isUnreachable(/damaged claim/));
  });

  it('says what is wrong with the folder', async () => {
    const at = (path: string): DirectoryArbiter => new DirectoryArbiter({spec: `dir:${path}`, path});
    const claim = {lineageId: LINEAGE, generation: 1, claimant: A};
    await assert.rejects(at(folder.join('none')).claim(claim), isUnreachable(/ENOENT/, /create it, or mount it/));
    writeFileSync(folder.join('file'), '');
    await assert.rejects(at(folder.join('file')).claim(claim), isUnreachable(/ENOTDIR/));
  });

  it('is unreachable, not empty, for who may only read', async () => {
    await arbiter.claim({lineageId: LINEAGE, generation: 1, claimant: A});
    chmodSync(folder.path, 0o555);
    // Root may write anywhere, and becomes nobody for this one test.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    try {
      await assert.rejects(arbiter.current(LINEAGE), isUnreachable(/EACCES/, /read and to write/));
      await assert.rejects(
        arbiter.claim({lineageId: LINEAGE, generation: 2, claimant: A}),
        isUnreachable(/EACCES/, /read and to write/),
      );
    } finally {
      if (isRoot) process.seteuid?.(0);
      chmodSync(folder.path, 0o755);
    }
  });

  it('gives up on a file server that hangs, asks nothing more of it, and goes on when it is back', async () => {
    let release = (): void => {};
    let hangs = true;
    let started = 0;
    const hanging: SharedFolder = {
      ...HOST_SHARED_FOLDER,
      async createFile(path, text) {
        started++;
        if (hangs) await new Promise<void>((resolve) => (release = resolve));
        await HOST_SHARED_FOLDER.createFile(path, text);
      },
    };
    const slow = new DirectoryArbiter({spec: 'dir:slow', path: folder.path, folder: hanging, timeoutMs: 400});
    const claim = {lineageId: LINEAGE, generation: 1, claimant: A};
    for (let i = 0; i < 3; i++) await assert.rejects(slow.claim(claim), isUnreachable(/did not answer within 400 ms/));
    assert.equal(started, 1);
    hangs = false;
    release();
    assert.deepEqual(await slow.claim(claim), {kind: 'won'});
    assert.equal(started, 2);
  });

  it('catches two winners, and a loser that names nobody', () => {
    const won = {claimant: A, results: ['won']};
    assertOneWinner([won, {claimant: B, results: [A]}], 1);
    assert.throws(() => assertOneWinner([won, {claimant: B, results: ['won']}], 1));
    assert.throws(() => assertOneWinner([won, {claimant: B, results: [B]}], 1));
    assert.throws(() => assertOneWinner([{claimant: B, results: [A]}], 1));
  });

  it('has one winner among processes that race', async function () {
    this.timeout(60_000);
    const processes = 6;
    const generations = 40;
    const results = await Promise.all(
      Array.from({length: processes}, () => raceProcess(`dir:${folder.path}`, LINEAGE, generations)),
    );
    assertOneWinner(results, generations);
    assert.equal((await arbiter.current(LINEAGE))?.generation, generations);
    assert.equal(readdirSync(folder.path).length, generations);
  });
});

describe(`the directory arbiter on a file server that fails, seed ${SEED} (FTVM_TEST_SEED)`, () => {
  const RUNS = 400;

  it('never has two winners, and each claimant learns the truth in the end', async () => {
    for (let run = 0; run < RUNS; run++) {
      const {contradictions, undecided} = await simulate(SEED + run, DirectoryArbiter, {});
      assert.deepEqual(contradictions, [], `run with seed ${SEED + run}`);
      assert.equal(undecided, 0, `run with seed ${SEED + run}`);
    }
  });

  /** Believes what link() answers. */
  class CredulousArbiter extends DirectoryArbiter {
    readonly #folder: SharedFolder;
    constructor(options: ConstructorParameters<typeof DirectoryArbiter>[0]) {
      super(options);
      this.#folder = options.folder!;
    }
    override async claim({lineageId, generation, claimant}: Claim): Promise<ClaimResult> {
      const path = `/shared/${lineageId}.${generation}`;
      try {
        await this.#folder.createFile(`${path}.${claimant}`, claimant);
        await this.#folder.link(`${path}.${claimant}`, path);
        return {kind: 'won'};
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') return {kind: 'lost', by: B};
        throw new FtvmError('arbiterUnreachable', 'failed');
      } finally {
        await this.#folder.unlink(`${path}.${claimant}`).catch(() => {});
      }
    }
  }

  const canaries: {name: string; arbiter: typeof DirectoryArbiter; faults: Partial<FolderFaults>}[] = [
    {name: 'an arbiter that believes errors', arbiter: CredulousArbiter, faults: {}},
    {name: 'a link that replaces', arbiter: DirectoryArbiter, faults: {linkReplaces: true}},
    {name: 'a file server that forgets what was synchronised', arbiter: DirectoryArbiter, faults: {syncLies: true}},
  ];
  for (const {name, arbiter, faults} of canaries) {
    it(`catches ${name}`, async () => {
      for (let run = 0; run < RUNS; run++) {
        if ((await simulate(SEED + run, arbiter, faults)).contradictions.length > 0) return;
      }
      assert.fail('it was not caught');
    });
  }
});

/** Some claimants, each asking until it knows, on a server that fails in the beginning and crashes at any time. */
async function simulate(
  seed: number,
  ArbiterClass: typeof DirectoryArbiter,
  planted: Partial<FolderFaults>,
): Promise<{contradictions: string[]; undecided: number}> {
  const random = new Random(seed);
  const chance = (): number => (random.below(2) === 0 ? 0 : random.below(40) / 100);
  const server = new SimulatedFileServer(random, {
    failBefore: chance(),
    failAfter: chance(),
    crash: random.below(2) === 0 ? 0 : random.below(10) / 100,
    remembersAbsence: random.below(2) === 0,
    linkReplaces: false,
    syncLies: false,
    ...planted,
  });
  const contradictions: string[] = [];
  const winners = new Map<number, string>();
  let undecided = 0;
  const claimants = Array.from({length: 2 + random.below(3)}, (_, index) => `claimant-${index}`);
  let attempts = 0;
  await Promise.all(
    claimants.map(async (claimant) => {
      const arbiter: Arbiter = new ArbiterClass({
        spec: 'dir:/shared',
        path: '/shared',
        folder: server.host(),
        readPauseMs: 0,
      });
      for (let generation = 1; generation <= 3; generation++) {
        const result = await untilKnown(async () => {
          // Nothing that fails for ever can be told from a dead arbiter.
          if (++attempts === 60) server.faults = {...NO_FAULTS, ...planted};
          return await arbiter.claim({lineageId: LINEAGE, generation, claimant});
        });
        if (result === undefined) undecided++;
        if (result?.kind !== 'won') continue;
        const winner = winners.get(generation);
        if (winner !== undefined) contradictions.push(`${generation}: ${winner} and ${claimant}`);
        winners.set(generation, claimant);
        server.crash();
        const current = await untilKnown(() => arbiter.current(LINEAGE));
        if (current === undefined || current.generation < generation) contradictions.push(`${generation} forgotten`);
        const again = await untilKnown(() => arbiter.claim({lineageId: LINEAGE, generation, claimant}));
        if (again?.kind === 'lost') contradictions.push(`${generation}: ${claimant} won, then lost by ${again.by}`);
      }
    }),
  );
  return {contradictions, undecided};
}
