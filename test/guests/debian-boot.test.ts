// The Debian guest under QEMU, the machine that is known to be right: once started as QEMU starts it, once from our boot plan
// with our device tree, where only the processor and the devices are QEMU's.

import {strict as assert} from 'node:assert';
import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync, truncateSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {planBoot} from '../../src/emulator/image/boot.ts';
import {buildDeviceTree} from '../../src/emulator/image/device-tree.ts';
import {COMMAND_ENDED_MARKER, FIRST_PROCESS_MARKER, PROMPT, READY_MARKER} from '../../src/guests/debian/init-script.ts';
import type {ResolvedGuest} from '../../src/guests/manifest.ts';
import {machineConfig} from '../image/machine-config.ts';
import {qemuMissing} from '../support/qemu.ts';
import {hasCommand, skipUnless} from '../support/skip.ts';
import {debianGuest, GUEST_BUILD_TIMEOUT_MS} from './debian-guest.ts';
import {bootPlanInQemu, InteractiveQemu} from './qemu.ts';

const BOOT_TIMEOUT_MS = 60_000;
const ANSWER_TIMEOUT_MS = 20_000;
/** Between firmware and kernel nothing of ours lies. */
const SCRATCH_ADDRESS = 0x801f_0000;

describe('a Debian guest under QEMU', function () {
  this.timeout(GUEST_BUILD_TIMEOUT_MS);
  let guest: ResolvedGuest;
  let folder: string;

  before(async function () {
    skipUnless(this, qemuMissing() === undefined, qemuMissing()!);
    guest = await debianGuest(this);
    folder = mkdtempSync(join(tmpdir(), 'ftvm-debian-'));
  });
  after(() => folder && rmSync(folder, {recursive: true, force: true}));

  const startAsQemuDoes = (append = '', args: string[] = []): InteractiveQemu =>
    new InteractiveQemu([
      ...['-m', `${guest.ramBytes / 2 ** 20}M`, '-bios', guest.paths.firmware!, '-kernel', guest.paths.kernel],
      ...['-initrd', guest.paths.initrd!, '-append', `${guest.commandLine} ${append}`, ...args],
    ]);

  const startFromPlan = (append = '', args: string[] = []): InteractiveQemu => {
    const config = {...machineConfig('linux', guest.ramBytes), commandLine: `${guest.commandLine} ${append}`};
    const plan = planBoot(config, guest.images);
    return bootPlanInQemu(plan, {ramBytes: guest.ramBytes, scratchAddress: SCRATCH_ADDRESS, args});
  };

  it('comes up to a shell that answers, obeys Ctrl-C, and powers off', async () => {
    using qemu = startAsQemuDoes();
    await qemu.waitFor(FIRST_PROCESS_MARKER, BOOT_TIMEOUT_MS);
    await qemu.waitFor(READY_MARKER, ANSWER_TIMEOUT_MS);
    await qemu.waitFor(PROMPT, ANSWER_TIMEOUT_MS);
    qemu.type('echo $((6 * 7)) $(uname -m)\r');
    await qemu.waitFor('\n42 riscv64\r', ANSWER_TIMEOUT_MS);
    await qemu.waitFor(PROMPT, ANSWER_TIMEOUT_MS);
    qemu.type('echo started; sleep 1000\r');
    await qemu.waitFor('\nstarted\r', ANSWER_TIMEOUT_MS);
    // The shell may not have got to the second command yet.
    const interrupting = setInterval(() => qemu.type('\x03'), 1000);
    qemu.type('\x03');
    await qemu.waitFor(PROMPT, ANSWER_TIMEOUT_MS).finally(() => clearInterval(interrupting));
    qemu.type('exit\r');
    assert.equal(await qemu.exit(ANSWER_TIMEOUT_MS), 0);
    assert.doesNotMatch(qemu.output, /module verification failed|Oops|BUG:|WARNING:|panic/);
  });

  it('comes up from our boot plan and device tree, with the extensions we name', async () => {
    using qemu = startFromPlan('ftvm.run="grep isa /proc/cpuinfo | head -1; cat /proc/device-tree/model; nproc"');
    await qemu.waitFor('Platform Name               : riscv-virtio,ftvm', BOOT_TIMEOUT_MS);
    await qemu.waitFor(FIRST_PROCESS_MARKER, BOOT_TIMEOUT_MS);
    await qemu.waitFor('rv64imafdc_zicntr_zicsr_zifencei', ANSWER_TIMEOUT_MS);
    await qemu.waitFor('_zba_zbb_zbs_sstc', ANSWER_TIMEOUT_MS);
    await qemu.waitFor('riscv-virtio,ftvm\x001', ANSWER_TIMEOUT_MS);
    await qemu.waitFor(`${COMMAND_ENDED_MARKER} 0`, ANSWER_TIMEOUT_MS);
    assert.equal(await qemu.exit(ANSWER_TIMEOUT_MS), 0);
  });

  it('comes up when QEMU is given our device tree to complete', async () => {
    const file = join(folder, 'ours.dtb');
    writeFileSync(file, buildDeviceTree(machineConfig('linux', guest.ramBytes), undefined));
    using qemu = startAsQemuDoes('ftvm.run="cat /proc/device-tree/model"', ['-dtb', file]);
    await qemu.waitFor(FIRST_PROCESS_MARKER, BOOT_TIMEOUT_MS);
    await qemu.waitFor('riscv-virtio,ftvm', ANSWER_TIMEOUT_MS);
    assert.equal(await qemu.exit(ANSWER_TIMEOUT_MS), 0);
  });

  it('mounts ext4 on a disk, has a network card and random numbers', async function () {
    skipUnless(this, hasCommand('mke2fs'), 'mke2fs is not installed (Debian: e2fsprogs)');
    const disk = join(folder, 'disk.img');
    writeFileSync(disk, '');
    truncateSync(disk, 16 * 2 ** 20);
    execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', disk]);
    const command =
      'mount /dev/vda /mnt && yes ftvm | head -c 1000000 > /mnt/file && sync && echo 3 > /proc/sys/vm/drop_caches; ' +
      'md5sum /mnt/file; ip -o addr show eth0; cat /sys/class/misc/hw_random/rng_current; false';
    using qemu = startFromPlan(`ip=10.0.2.15::10.0.2.2:255.255.255.0:box ftvm.run="${command}"`, [
      ...['-drive', `file=${disk},format=raw,if=none,id=disk0`],
      ...['-device', 'virtio-blk-device,drive=disk0,bus=virtio-mmio-bus.0'],
      ...['-netdev', 'user,id=net0,restrict=on', '-device', 'virtio-net-device,netdev=net0,bus=virtio-mmio-bus.1'],
      ...['-device', 'virtio-rng-device,bus=virtio-mmio-bus.2'],
    ]);
    await qemu.waitFor('EXT4-fs (vda): mounted filesystem', BOOT_TIMEOUT_MS);
    await qemu.waitFor('79cf817550b60b8069d67baa32bf9dd4  /mnt/file', BOOT_TIMEOUT_MS);
    await qemu.waitFor('inet 10.0.2.15/24', ANSWER_TIMEOUT_MS);
    await qemu.waitFor('virtio_rng.0', ANSWER_TIMEOUT_MS);
    await qemu.waitFor(`${COMMAND_ENDED_MARKER} 1`, ANSWER_TIMEOUT_MS);
    assert.equal(await qemu.exit(ANSWER_TIMEOUT_MS), 0);
    execFileSync('e2fsck', ['-f', '-n', disk], {stdio: 'pipe'});
  });
});
