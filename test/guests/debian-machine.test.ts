// The Debian guest on our own machine, without a session around it: the test completes disk and entropy requests itself. It
// shows what the guest needs of the machine; recording and replaying it is tested end to end.

import {strict as assert} from 'node:assert';
import {execFileSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {Ending, MachineConfig} from '../../src/emulator/config.ts';
import {Machine} from '../../src/emulator/machine.ts';
import {COMMAND_ENDED_MARKER, FIRST_PROCESS_MARKER} from '../../src/guests/debian/init-script.ts';
import type {ResolvedGuest} from '../../src/guests/manifest.ts';
import {machineConfig} from '../image/machine-config.ts';
import {hasCommand, skipUnless} from '../support/skip.ts';
import {debianGuest, GUEST_BUILD_TIMEOUT_MS} from './debian-guest.ts';

const SLICE_STEPS = 2_000_000n;
/** A run that takes longer hangs. */
const LIMIT_STEPS = 6_000_000_000n;
/** 318 million when it was measured. Ten seconds are 2.5 G steps at 250 MIPS. */
const FIRST_PROCESS_LIMIT_STEPS = 400_000_000n;

type Typed = {atStep: bigint; text: string};
type Run = {console: string; ending: Ending; steps: bigint; firstProcessAt: bigint};

describe('a Debian guest on our machine', function () {
  this.timeout(GUEST_BUILD_TIMEOUT_MS);
  let guest: ResolvedGuest;

  before(async function () {
    guest = await debianGuest(this);
  });

  const run = (options: {
    append?: string;
    typed?: Typed[];
    disk?: Uint8Array;
    changes?: Partial<MachineConfig>;
  }): Run => {
    const commandLine = `${guest.commandLine} ${options.append ?? ''}`;
    const config = {...machineConfig('linux', guest.ramBytes), commandLine, stepsPerTick: 30, ...options.changes};
    return execute(config, guest, options.disk, [...(options.typed ?? [])]);
  };

  it('reaches its first process soon, and powers off', () => {
    const {console, ending, firstProcessAt} = run({append: 'ftvm.run="uname -m; cat /proc/cpuinfo; exit 3"'});
    assert.deepEqual(ending, {kind: 'poweroff', code: 0});
    assert.match(console, /^riscv64\r$/m);
    assert.match(console, /^mmu\s*: sv39\r$/m);
    assert.match(console, new RegExp(`^${COMMAND_ENDED_MARKER} 3\r$`, 'm'));
    assert.ok(firstProcessAt < FIRST_PROCESS_LIMIT_STEPS, `the first process started at step ${firstProcessAt}`);
  });

  it('neither loses nor reorders 8 KB typed in the middle of the boot', () => {
    const count = 400;
    // The sum does not occur in the echo of what is typed.
    const lines = Array.from({length: count}, (_, index) => `echo $((1000 + ${index}))x\n`);
    const text = `${lines.join('')}exit\n`;
    assert.ok(text.length > 8192);
    const {console} = run({typed: [{atStep: 100_000_000n, text}]});
    const numbers = [...console.matchAll(/(1\d\d\d)x/g)].map(([, digits]) => Number(digits) - 1000);
    assert.deepEqual(
      numbers,
      Array.from({length: count}, (_, index) => index),
    );
  });

  it('formats no disk but mounts one, and has a network card and random numbers', function () {
    skipUnless(this, hasCommand('mke2fs'), 'mke2fs is not installed (Debian: e2fsprogs)');
    const disk = emptyExt4(16 * 2 ** 20);
    const command =
      'mount /dev/vda /mnt && cat /usr/bin/busybox > /mnt/file && sync && echo 3 > /proc/sys/vm/drop_caches; ' +
      'cmp /mnt/file /usr/bin/busybox && echo the same; ip -o addr show eth0; head -c 8 /dev/hwrng | hexdump -C';
    const {console} = run({
      append: `ip=10.0.2.15::10.0.2.2:255.255.255.0 ftvm.run="${command}"`,
      disk,
      changes: {disks: [{sizeBytes: disk.length}], nics: [{mac: Uint8Array.of(2, 0, 0, 0, 0, 1)}], entropy: true},
    });
    assert.match(console, /EXT4-fs \(vda\): mounted filesystem/);
    assert.match(console, /^the same\r$/m);
    assert.match(console, /inet 10\.0\.2\.15\/24/);
    assert.match(console, /^00000000 {2}99 99 99 99 99 99 99 99/m);
  });
});

function execute(config: MachineConfig, guest: ResolvedGuest, disk: Uint8Array | undefined, typed: Typed[]): Run {
  const base = disk && {
    sizeBytes: disk.length,
    read: (offset: number, into: Uint8Array) => into.set(disk.subarray(offset, offset + into.length)),
  };
  const machine = new Machine(config, guest.images, base === undefined ? [] : [base]);
  let console = '';
  let firstProcessAt = 0n;
  while (machine.position < LIMIT_STEPS) {
    const stop = machine.runUntil(machine.position + SLICE_STEPS);
    for (const output of machine.takeOutputs()) {
      if (output.kind === 'console') console += Buffer.from(output.bytes).toString('latin1');
    }
    if (firstProcessAt === 0n && console.includes(FIRST_PROCESS_MARKER)) firstProcessAt = machine.position;
    if (stop.kind === 'halted') return {console, ending: stop.ending, steps: machine.position, firstProcessAt};
    const delivered = completeRequests(machine);
    if (typed[0] !== undefined && machine.position >= typed[0].atStep) {
      machine.deliver({kind: 'console', bytes: Buffer.from(typed.shift()!.text)});
    } else if (stop.kind === 'idle' && stop.deadlineTicks === undefined && !delivered) {
      assert.fail(`the guest waits for ever; its console ends with:\n${console.slice(-1500)}`);
    }
  }
  assert.fail(`the guest did not end; its console ends with:\n${console.slice(-1500)}`);
}

/** Whether anything was pending. */
function completeRequests(machine: Machine): boolean {
  const {disks, entropyBytes} = machine.pendingRequests();
  const count = disks[0]?.length ?? 0;
  if (count > 0) machine.deliver({kind: 'disk', disk: 0, count, status: 'ok'});
  if (entropyBytes > 0) machine.deliver({kind: 'entropy', bytes: new Uint8Array(entropyBytes).fill(0x99)});
  return count > 0 || entropyBytes > 0;
}

function emptyExt4(sizeBytes: number): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'ftvm-ext4-'));
  try {
    const file = join(folder, 'disk.img');
    writeFileSync(file, '');
    truncateSync(file, sizeBytes);
    execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', file]);
    return new Uint8Array(readFileSync(file));
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}
