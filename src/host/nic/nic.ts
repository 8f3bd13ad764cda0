// A network card's other side: where frames that the guest sent go, and where those for it come from. Frames are Ethernet frames
// without check sequence. A NIC may lose frames, as any Ethernet may, but it counts them; it never blocks its caller.

import type {Endpoint} from '../endpoint.ts';

/** A switch's end of a cable. */
export type StreamAddress = {kind: 'unix'; path: string} | {kind: 'tcp'; endpoint: Endpoint};
/** Where a NIC is plugged in. */
export type NicAddress = StreamAddress | {kind: 'tap'; name: string};

export type NicDrops = {
  /** Sent while nobody was connected. */
  noPeer: number;
  /** Sent while the peer was slower than the guest. */
  congested: number;
  /** Too small or too large for the guest's card. */
  badSize: number;
};

export interface Nic {
  readonly drops: Readonly<NicDrops>;
  /** Sends one frame, or drops and counts it. */
  send(frame: Uint8Array): void;
  /** Frames that arrived, oldest first: at most so many, of at most so many bytes together, but one at least if there is one. */
  take(limits: {frames: number; bytes: number}): Uint8Array[];
  /** Called when frames have arrived. One listener. */
  onFrames(listener: () => void): void;
  close(): void;
}

/** Ethernet header alone. */
export const MIN_FRAME_BYTES = 14;
/** What the log's packets can hold (docs/log-format.md, MAX_PACKET_BYTES); a test holds the two together. */
export const MAX_FRAME_BYTES = 65_562;

export function formatNicAddress(address: NicAddress): string {
  switch (address.kind) {
    case 'unix':
      return `stream:unix:${address.path}`;
    case 'tcp':
      return `stream:tcp:${address.endpoint.host}:${address.endpoint.port}`;
    case 'tap':
      return `tap:${address.name}`;
  }
}
