// What a machine that has moved to another host says to the network, so that switches and neighbours find it at once and idle connections
// do not hang (DESIGN 7): RARP for the switches, gratuitous ARP where the guest's IPv4 address is known. These frames are the host's, not
// the guest's: they are in no log, and the guest never hears of them.

import type {Output} from '../emulator/output.ts';

const ETHER_ARP = 0x0806;
const ETHER_RARP = 0x8035;
const ETHER_IPV4 = 0x0800;
/** RFC 826: Ethernet, IPv4, request; RFC 903: "request reverse". */
const ARP_REQUEST = 1;
const RARP_REQUEST = 3;
const HEADER_BYTES = 14;
/** ARP for Ethernet and IPv4; frames are padded to the least that Ethernet carries. */
const ARP_BYTES = 28;
const LEAST_FRAME_BYTES = 60;

/** Learns the guest's own addresses from what it sends. */
export class AddressLearner {
  readonly #macs: readonly Uint8Array[];
  readonly #addresses: (Uint8Array | undefined)[];

  constructor(macs: readonly Uint8Array[]) {
    this.#macs = macs;
    this.#addresses = macs.map(() => undefined);
  }

  observe(output: Output): void {
    if (output.kind !== 'packet') return;
    const mac = this.#macs[output.nic];
    const address = mac === undefined ? undefined : claimedAddress(output.bytes, mac);
    if (address !== undefined) this.#addresses[output.nic] = address;
  }

  /** The frames that announce NIC number `nic`. */
  announcements(nic: number): Uint8Array[] {
    const mac = this.#macs[nic];
    if (mac === undefined) return [];
    const address = this.#addresses[nic];
    return [rarp(mac), ...(address === undefined ? [] : [gratuitousArp(mac, address)])];
  }
}

/**
 * The IPv4 address that a guest with this MAC claims by this frame; undefined: none. Only ARP says so: the source of a packet may be
 * another's, whose packets the guest forwards.
 */
export function claimedAddress(frame: Uint8Array, mac: Uint8Array): Uint8Array | undefined {
  if (frame.length < HEADER_BYTES + ARP_BYTES || !isSame(frame.subarray(6, 12), mac)) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset);
  const isArp = view.getUint16(12) === ETHER_ARP && view.getUint16(14) === 1 && view.getUint16(16) === ETHER_IPV4;
  if (!isArp || !isSame(frame.subarray(22, 28), mac)) return undefined;
  const address = frame.slice(28, 32);
  // 0.0.0.0 is "none yet" (DHCP, address probes).
  return address.some((byte) => byte !== 0) ? address : undefined;
}

/** RARP: says nothing but where this MAC is. */
export function rarp(mac: Uint8Array): Uint8Array {
  const nobody = new Uint8Array(4);
  return arpFrame({type: ETHER_RARP, operation: RARP_REQUEST, mac, sender: nobody, targetMac: mac, target: nobody});
}

/** Gratuitous ARP: this address is at this MAC (RFC 5227, 3: an announcement). */
export function gratuitousArp(mac: Uint8Array, address: Uint8Array): Uint8Array {
  const targetMac = new Uint8Array(6);
  return arpFrame({type: ETHER_ARP, operation: ARP_REQUEST, mac, sender: address, targetMac, target: address});
}

function arpFrame(parts: {
  type: number;
  operation: number;
  mac: Uint8Array;
  sender: Uint8Array;
  targetMac: Uint8Array;
  target: Uint8Array;
}): Uint8Array {
  const frame = new Uint8Array(LEAST_FRAME_BYTES);
  const view = new DataView(frame.buffer);
  frame.fill(0xff, 0, 6);
  frame.set(parts.mac, 6);
  view.setUint16(12, parts.type);
  view.setUint16(14, 1);
  view.setUint16(16, ETHER_IPV4);
  view.setUint8(18, 6);
  view.setUint8(19, 4);
  view.setUint16(20, parts.operation);
  frame.set(parts.mac, 22);
  frame.set(parts.sender, 28);
  frame.set(parts.targetMac, 32);
  frame.set(parts.target, 38);
  return frame;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, index) => byte === b[index]);
}
