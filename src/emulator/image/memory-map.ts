// The machine's memory map and interrupt numbers: those of QEMU's `virt` machine (hw/riscv/virt.c), so that the same software
// runs on both. RAM's base stands in layout.ts.

/** Where a device's registers lie in the guest-physical address space. */
export type DeviceRange = {readonly base: number; readonly sizeBytes: number};

export const FINISHER: DeviceRange = {base: 0x10_0000, sizeBytes: 0x1000};
export const RTC: DeviceRange = {base: 0x10_1000, sizeBytes: 0x1000};
export const CLINT: DeviceRange = {base: 0x200_0000, sizeBytes: 0x1_0000};
export const PLIC: DeviceRange = {base: 0xc00_0000, sizeBytes: 0x60_0000};
export const UART: DeviceRange = {base: 0x1000_0000, sizeBytes: 0x100};

/** Slots for virtio devices; a slot without a device answers with device number 0. */
export const VIRTIO_SLOT_COUNT = 8;
export const virtioSlot = (index: number): DeviceRange => ({base: 0x1000_1000 + index * 0x1000, sizeBytes: 0x1000});

export const UART_IRQ = 10;
export const RTC_IRQ = 11;
export const virtioIrq = (index: number): number => 1 + index;

/** Interrupt sources 1 to 95. */
export const PLIC_SOURCE_COUNT = 95;

/** mtime's frequency. */
export const TIMEBASE_HZ = 10_000_000;
/** The UART's input clock, which QEMU's tree states too: 115200 baud with divisor 2. */
export const UART_CLOCK_HZ = 3_686_400;
