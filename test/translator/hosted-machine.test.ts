// The translator as sessions use it: compiled by a worker, installed between slices. Bare guests, and Debian recorded with one engine
// and replayed with the other.

import assert from 'node:assert/strict';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {StateDigest} from '../../src/session/digests.ts';
import {HostedMachine} from '../../src/session/hosted-machine.ts';
import {debianGuest, GUEST_BUILD_TIMEOUT_MS} from '../guests/debian-guest.ts';
import {runFtvm} from '../support/ftvm.ts';
import {bareConfig, newMachine} from './equivalence.ts';

const PROGRAM = new URL('../../bench/guests/bin/sort.elf', import.meta.url);
const STEPS = 60_000_000n;
const PATIENCE_MS = 60_000;

describe('translator: in a worker', function () {
  this.timeout(2 * PATIENCE_MS);
  const images = {kernel: new Uint8Array(readFileSync(PROGRAM))};
  const config = bareConfig({ramBytes: 64 * 2 ** 20});

  it('what becomes hot is compiled and used, and the states are the interpreter’s', async () => {
    const hosted = new HostedMachine(config, images);
    const reference = newMachine({name: 'sort', config, images}, {kind: 'interpreter'});
    const deadline = performance.now() + PATIENCE_MS;
    while (hosted.translations?.regionCount === 0) {
      assert.ok(performance.now() < deadline, 'nothing was compiled');
      hosted.runUntil(hosted.position + 1_000_000n);
      assert.equal(hosted.ending, undefined, 'the guest ended before anything was compiled');
    }
    hosted.runUntil(hosted.position + STEPS);
    reference.runUntil(hosted.position);
    const digests = [];
    for (const machine of [hosted, reference]) digests.push((await StateDigest.create(machine)).compute());
    assert.deepEqual(digests[0], digests[1]);
  });
});

describe('translator: Debian', function () {
  this.timeout(GUEST_BUILD_TIMEOUT_MS);

  before(async function () {
    await debianGuest(this);
  });

  for (const [recorder, replayer] of [
    ['interpreter', 'translator'],
    ['translator', 'interpreter'],
  ] as const) {
    it(`recorded with the ${recorder}, replayed with the ${replayer}`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'ftvm-translator-'));
      try {
        const log = join(folder, 'debian.ftlog');
        const work = 'ftvm.run="i=0; while [ $i -lt 5000 ]; do i=$((i+1)); done; ls -lR /usr | md5sum"';
        const recorded = await runFtvm(['record', 'debian', '-o', log, '--clock', 'virtual', '--append', work], {
          environment: {FTVM_ENGINE: recorder},
          timeoutMs: 2 * PATIENCE_MS,
        });
        assert.equal(recorded.exitCode, 0, recorded.stderr);
        const replayed = await runFtvm(['replay', log], {
          environment: {FTVM_ENGINE: replayer},
          timeoutMs: 2 * PATIENCE_MS,
        });
        assert.match(replayed.stdout + replayed.stderr, /identical: \d+ records, \d+ digests/);
        assert.equal(replayed.exitCode, 0, replayed.stderr);
      } finally {
        rmSync(folder, {recursive: true});
      }
    });
  }
});
