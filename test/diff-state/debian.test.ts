// States of a booting Debian: restored in the middle, it goes on identically; and of two boots that differ in one byte typed while
// nobody reads yet, the instruction is found that reads it, in well under a minute.

import assert from 'node:assert/strict';
import {createHash} from 'node:crypto';
import {resolve} from 'node:path';
import type {MachineConfig} from '../../src/emulator/config.ts';
import {MACHINE_VERSION, Machine} from '../../src/emulator/machine.ts';
import type {ResolvedGuest} from '../../src/guests/manifest.ts';
import {FORMAT_VERSION} from '../../src/logformat/limits.ts';
import type {Artefact, LogHeader} from '../../src/logformat/record.ts';
import {decodeState} from '../../src/logformat/state-decoder.ts';
import {encodeState} from '../../src/logformat/state-file.ts';
import {StateDigest} from '../../src/session/digests.ts';
import {restoreMachine} from '../../src/session/state-restore.ts';
import {debianGuest, GUEST_BUILD_TIMEOUT_MS} from '../guests/debian-guest.ts';
import {runFtvm, TemporaryFolder} from '../support/ftvm.ts';
import {writeRecords} from './edited-log.ts';
import {configOf, runTo, text} from './runs.ts';

const DIFFERENT = 117;
/** In the middle of the kernel's start: the console's receiver is not enabled. */
const TYPED_AT = 150_000_000n;
/** Behind the first process. */
const END = 420_000_000n;
const GO_ON_STEPS = 30_000_000n;
const LIMIT_MS = 60_000;

describe('the states of a Debian guest', function () {
  this.timeout(GUEST_BUILD_TIMEOUT_MS);
  let guest: ResolvedGuest;
  let config: MachineConfig;

  before(async function () {
    guest = await debianGuest(this);
    config = configOf({boot: guest.boot, ramBytes: guest.ramBytes, commandLine: guest.commandLine});
  });

  it('go on identically when restored', async () => {
    const original = new Machine(config, guest.images);
    for (const position of [TYPED_AT, 300_000_000n]) {
      runTo(original, position);
      const saved = decodeState(encodeState(original, {...headerOf(guest, config), recordOrdinal: 1n}));
      const restored = restoreMachine(saved, {images: guest.images, disks: []});
      // Cut differently on the two sides, which must make no difference.
      for (const distance of [1n, 1_000_000n, GO_ON_STEPS]) runTo(restored, position + distance);
      runTo(original, position + GO_ON_STEPS);
      const digests = [await StateDigest.create(original), await StateDigest.create(restored)];
      assert.deepEqual(digests[1].compute().slice(), digests[0].compute().slice(), `restored at ${position}`);
    }
  });

  it('differ first where a byte typed during the boot is read', async () => {
    using folder = new TemporaryFolder();
    const [a, b] = ['echo hello\n', 'echo hallo\n'].map((line, n) => {
      const path = folder.join(`${n}.ftlog`);
      writeRecords(path, [
        {kind: 'header', position: 0n, ...headerOf(guest, config)},
        {kind: 'input', position: TYPED_AT, input: text(line)},
        {kind: 'end', position: END, reason: 'stopped', ending: null},
      ]);
      return path;
    });
    const startMs = performance.now();
    const {exitCode, stdout, stderr} = await runFtvm(['diff-state', a, b, '--json'], {timeoutMs: 2 * LIMIT_MS});
    const elapsedMs = performance.now() - startMs;
    assert.equal(exitCode, DIFFERENT, stderr);
    const {state, step} = JSON.parse(stdout);
    assert.equal(state.position, String(TYPED_AT));
    assert.deepEqual(
      state.difference.entries.map(({name}: {name: string}) => name),
      ['uart.queue'],
    );
    assert.ok(BigInt(step.position) > TYPED_AT + 10_000_000n, `read at ${step.position} already`);
    assert.equal(step.a.code.privilege, 'S');
    assert.match(step.a.code.instruction.text, /^lbu? a\d, 0\(\w+\)$/);
    assert.deepEqual(step.difference.entries.filter(({group}: {group: string}) => group === 'registers').map(values), [
      {a: String('e'.charCodeAt(0)), b: String('a'.charCodeAt(0))},
    ]);
    assert.ok(elapsedMs < LIMIT_MS, `it took ${elapsedMs} ms`);
  });
});

function values({a, b}: {a: string; b: string}): {a: string; b: string} {
  return {a, b};
}

function headerOf(guest: ResolvedGuest, config: MachineConfig): LogHeader {
  const artefacts: Artefact[] = [];
  for (const role of ['kernel', 'firmware', 'initrd'] as const) {
    const [bytes, path] = [guest.images[role], guest.paths[role]];
    if (bytes === undefined || path === undefined) continue;
    const sha256 = new Uint8Array(createHash('sha256').update(bytes).digest());
    artefacts.push({role, sha256, sizeBytes: bytes.length, pathHint: resolve(path)});
  }
  return {
    formatVersion: FORMAT_VERSION,
    machineVersion: MACHINE_VERSION,
    ftvmVersion: '0.0.0-test',
    config,
    artefacts,
    disks: [],
    lineageId: new Uint8Array(16).fill(7),
    arbiter: null,
    host: {hostname: 'test', bootId: '', pid: 1},
    controlSocket: null,
  };
}
