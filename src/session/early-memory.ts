// A machine's memory before there is a machine: while the program is loaded and the images are read, the places where images go are made
// ready. They are only about right, which makes no difference but to time.

import {statSync} from 'node:fs';
import {RAM, RAM_LIMIT_BYTES, wasmPages} from '../emulator/layout.ts';
import {touch} from '../host/touched-memory.ts';

/** A kernel for 64 bits is linked 2 MiB above the firmware; at the top of RAM lie a device tree and what it may grow by. */
const BELOW_KERNEL_BYTES = 2 << 20;
const ABOVE_INITRD_BYTES = 128 << 10;

/** Undefined for a size that no machine can have, or images that cannot be read: whoever wants them will say so. */
export async function earlyMemory(options: {
  ramBytes: number;
  paths: {kernel?: string; initrd?: string};
}): Promise<WebAssembly.Memory | undefined> {
  const {ramBytes, paths} = options;
  const sizeOf = (path: string | undefined): number =>
    path === undefined ? 0 : (statSync(path, {throwIfNoEntry: false})?.size ?? 0);
  const lowBytes = BELOW_KERNEL_BYTES + sizeOf(paths.kernel);
  const highBytes = ABOVE_INITRD_BYTES + sizeOf(paths.initrd);
  if (ramBytes > RAM_LIMIT_BYTES || lowBytes + highBytes > ramBytes) return undefined;
  const memory = new WebAssembly.Memory({initial: wasmPages(ramBytes)});
  await touch([
    new Uint8Array(memory.buffer, RAM, lowBytes),
    new Uint8Array(memory.buffer, RAM + ramBytes - highBytes, highBytes),
  ]);
  return memory;
}
