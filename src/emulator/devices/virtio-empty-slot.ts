// A virtio-mmio slot without a device: drivers read device id 0 and leave it alone (virtio 1.2, 4.2.2.1).

import type {Device} from './device.ts';
import {MAGIC, REGISTER, VENDOR, VERSION} from './virtio-mmio.ts';

export class VirtioEmptySlot implements Device {
  readonly name = 'virtio-empty-slot';

  read(offset: number, sizeBytes: 1 | 2 | 4): number {
    if (sizeBytes !== 4) return 0;
    if (offset === REGISTER.magic) return MAGIC;
    if (offset === REGISTER.version) return VERSION;
    return offset === REGISTER.vendorId ? VENDOR : 0;
  }

  write(): void {}

  reset(): void {}
}
