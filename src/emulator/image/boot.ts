// Where everything goes in RAM before the first step, and the registers that the hart starts with: the work of a real
// machine's boot ROM. Pure: the same configuration and images give the same memory, also after a reset in place.
//
//   elf     the executable's segments           linux   0x80000000              OpenSBI
//           …                                           0x80000000+text_offset  kernel Image
//           top of RAM: device tree                     below the tree: initrd; top of RAM: boot information, device tree

import {FtvmError} from '../../errors.ts';
import type {BootImages, MachineConfig} from '../config.ts';
import {RAM_BASE} from '../layout.ts';
import {PAGE_BYTES} from '../paged-memory.ts';
import {buildDeviceTree, type InitrdRange} from './device-tree.ts';
import {isElf, parseElf, type Segment} from './elf.ts';

export type BootPlan = {
  /** What RAM holds; everything else is zero. The bytes may alias the images. */
  writes: {address: number; bytes: Uint8Array}[];
  /** The hart starts in M mode at `pc`; all other registers are zero. */
  registers: {pc: bigint; a0: bigint; a1: bigint; a2: bigint};
};

/** Sizes that a machine with too little RAM is told to take. */
const RAM_UNIT_BYTES = 2 * 1024 * 1024;

/** OpenSBI adds nodes to the tree in place, about 1 KiB; without room behind it the kernel would read past the end of RAM. */
const TREE_GROWTH_BYTES = 64 * 1024;

/** `struct fw_dynamic_info` (OpenSBI, include/sbi/fw_dynamic.h): magic, version, next address, next mode, options, boot hart. */
const INFO_MAGIC = 0x4942534fn;
const INFO_VERSION = 2n;
const INFO_MODE_SUPERVISOR = 1n;
const INFO_BYTES = 48;

/** The Image header (Documentation/arch/riscv/boot-image-header.rst): offsets of the fields used, and the two magics. */
const IMAGE_TEXT_OFFSET = 8;
const IMAGE_SIZE = 16;
const IMAGE_MAGIC = 48;
const IMAGE_MAGIC_2 = 56;
const IMAGE_HEADER_BYTES = 64;
const IMAGE_MAGIC_VALUE = 0x5643534952n; // "RISCV\0\0\0"
const IMAGE_MAGIC_2_VALUE = 0x05435352; // "RSC\x05"

/** Plans the boot. Throws FtvmError `badImage` for images that cannot be started or do not fit into RAM, `usage` for missing ones. */
export function planBoot(config: MachineConfig, images: BootImages): BootPlan {
  switch (config.boot) {
    case 'elf':
      return planElf(config, images);
    case 'linux':
      return planLinux(config, images);
  }
}

function planElf(config: MachineConfig, images: BootImages): BootPlan {
  if (isKernelImage(images.kernel)) {
    throw new FtvmError('usage', 'a Linux kernel Image needs firmware to start it', {
      hint: 'Add --bios fw_dynamic.bin (OpenSBI).',
    });
  }
  const {entry, segments} = parseElf(images.kernel, {start: RAM_BASE, end: RAM_BASE + config.ramBytes});
  const top = layOutTop(config, undefined);
  requireRoom(segmentsEnd(segments), top, config);
  return {
    writes: [...segments, {address: top.treeAddress, bytes: top.tree}].map(({address, bytes}) => ({address, bytes})),
    registers: {pc: BigInt(entry), a0: 0n, a1: BigInt(top.treeAddress), a2: 0n},
  };
}

function planLinux(config: MachineConfig, images: BootImages): BootPlan {
  const {firmware, initrd} = images;
  if (firmware === undefined) {
    throw new FtvmError('usage', 'a kernel needs firmware to start it', {hint: 'Add --bios fw_dynamic.bin (OpenSBI).'});
  }
  if (isElf(firmware)) {
    throw new FtvmError('badImage', 'bad firmware: an ELF file, not a flat binary', {
      hint: "Give OpenSBI's fw_dynamic.bin, which lies beside fw_dynamic.elf.",
    });
  }
  if (firmware.length === 0) throw new FtvmError('badImage', 'bad firmware: the file is empty');
  const kernel = placeKernel(images.kernel, config);
  if (RAM_BASE + firmware.length > kernel.start) {
    throw new FtvmError(
      'badImage',
      `bad firmware: ${firmware.length} bytes reach into the kernel at 0x${kernel.start.toString(16)}`,
    );
  }
  const top = layOutTop(config, initrd);
  requireRoom(kernel.end, top, config);
  return {
    writes: [
      {address: RAM_BASE, bytes: firmware},
      ...kernel.writes,
      ...(initrd === undefined ? [] : [{address: top.start, bytes: initrd}]),
      {address: top.infoAddress, bytes: dynamicInfo(kernel.entry)},
      {address: top.treeAddress, bytes: top.tree},
    ],
    registers: {pc: BigInt(RAM_BASE), a0: 0n, a1: BigInt(top.treeAddress), a2: BigInt(top.infoAddress)},
  };
}

type PlacedKernel = {start: number; end: number; entry: number; writes: {address: number; bytes: Uint8Array}[]};

/** A kernel is an Image, or an ELF executable for S mode linked above the firmware. */
function placeKernel(bytes: Uint8Array, config: MachineConfig): PlacedKernel {
  if (isElf(bytes)) {
    const {entry, segments} = parseElf(bytes, {start: RAM_BASE, end: RAM_BASE + config.ramBytes});
    const start = Math.min(...segments.map((segment) => segment.address));
    return {start, end: segmentsEnd(segments), entry, writes: segments.map(({address, bytes}) => ({address, bytes}))};
  }
  if (!isKernelImage(bytes)) {
    const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
    throw new FtvmError(
      'badImage',
      `bad kernel: ${isGzip ? 'compressed with gzip' : 'neither a RISC-V Image nor an ELF file'}`,
      {
        hint: isGzip
          ? 'Unpack it first: gzip -d'
          : 'Give an uncompressed Image for riscv64, as Debian has it in /boot/vmlinux-*.',
      },
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const textOffset = view.getBigUint64(IMAGE_TEXT_OFFSET, true);
  const imageSize = view.getBigUint64(IMAGE_SIZE, true);
  // The size counts memory that the file does not hold (bss); a kernel older than the header's field says 0.
  const limit = 2n ** 32n;
  if (textOffset > limit || imageSize > limit)
    throw new FtvmError('badImage', 'bad kernel: its Image header is damaged');
  const start = RAM_BASE + Number(textOffset);
  return {
    start,
    end: start + Math.max(Number(imageSize), bytes.length),
    entry: start,
    writes: [{address: start, bytes}],
  };
}

export function isKernelImage(bytes: Uint8Array): boolean {
  if (bytes.length < IMAGE_HEADER_BYTES) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return (
    view.getBigUint64(IMAGE_MAGIC, true) === IMAGE_MAGIC_VALUE &&
    view.getUint32(IMAGE_MAGIC_2, true) === IMAGE_MAGIC_2_VALUE
  );
}

type Top = {start: number; infoAddress: number; treeAddress: number; tree: Uint8Array};

/** From the top of RAM downwards: room behind the device tree, the tree, a page for the boot information, the initrd; each at the start of a page. */
function layOutTop(config: MachineConfig, initrd: Uint8Array | undefined): Top {
  const end = RAM_BASE + config.ramBytes;
  // The tree's length does not depend on where the initrd lies, only on whether there is one.
  const placeholder = initrd === undefined ? undefined : {start: RAM_BASE, end: RAM_BASE};
  const treeAddress = pageBelow(end - TREE_GROWTH_BYTES - buildDeviceTree(config, placeholder).length);
  const infoAddress = treeAddress - PAGE_BYTES;
  const start = pageBelow(infoAddress - (initrd?.length ?? 0));
  const range: InitrdRange | undefined = initrd === undefined ? undefined : {start, end: start + initrd.length};
  return {start, infoAddress, treeAddress, tree: buildDeviceTree(config, range)};
}

function requireRoom(lowEnd: number, top: Top, config: MachineConfig): void {
  if (lowEnd <= top.start) return;
  const neededBytes = lowEnd - RAM_BASE + (RAM_BASE + config.ramBytes - top.start);
  const neededMiB = Math.ceil(neededBytes / RAM_UNIT_BYTES) * 2;
  throw new FtvmError('badImage', `the images do not fit into ${config.ramBytes / 2 ** 20} MiB of RAM`, {
    hint: `Give the machine at least --ram ${neededMiB}M.`,
    details: {ramBytes: config.ramBytes, neededBytes: neededMiB * 2 ** 20},
  });
}

function segmentsEnd(segments: readonly Segment[]): number {
  return Math.max(...segments.map(({address, memoryBytes}) => address + memoryBytes));
}

function dynamicInfo(nextAddress: number): Uint8Array {
  const bytes = new Uint8Array(INFO_BYTES);
  const view = new DataView(bytes.buffer);
  const fields = [INFO_MAGIC, INFO_VERSION, BigInt(nextAddress), INFO_MODE_SUPERVISOR, 0n, 0n];
  for (const [index, field] of fields.entries()) view.setBigUint64(index * 8, field, true);
  return bytes;
}

function pageBelow(address: number): number {
  return Math.floor(address / PAGE_BYTES) * PAGE_BYTES;
}
