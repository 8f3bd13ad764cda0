// What passt hears of a guest's acknowledgements. As a sender passt lacks two of TCP's courtesies, and a guest that is slower than this host
// needs both: it fills a window to the last byte, so that segments shrink to a few bytes each and stay that small (the silly window,
// RFC 9293, 3.8.6.2.1); and it answers every repeated acknowledgement by its whole window again, which the guest acknowledges
// again, for ever (RFC 5681, 3.2: the third, by one segment). So windows are told in whole segments and not too many
// of them, which a receiver may do at any time, and repetitions now and then only, as if the others had been lost.

/**
 * What passt may have under way. What it has there it has not taken from its client's socket, and only when as much is taken as a segment of
 * the loopback holds (65,483 bytes) does the kernel tell the client of it at once (RFC 9293, 3.8.6.2.2), else after 200 ms: it must be more
 * than that. And it must be less than such a socket's buffer, 128 KiB at first.
 */
const WINDOW_LIMIT_BYTES = 96 * 1024;
/** One repetition in so long: the least retransmission time-out of TCP's on Linux. */
const REPETITION_MS = 200;
/** Connections that are remembered, the latest of them. */
const CONNECTIONS_LIMIT = 4096;
/** Without an option that says so (RFC 9293, 3.7.1). */
const DEFAULT_SEGMENT_BYTES = 536;

const ETHERNET_BYTES = 14;
const ETHERTYPE_IPV4 = 0x0800;
const PROTOCOL_TCP = 6;
const FLAG_FIN = 1;
const FLAG_SYN = 2;
const FLAG_RST = 4;
const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_SEGMENT = 2;
const OPTION_SCALE = 3;

type Connection = {scale: number; segmentBytes: number; last: {ack: number; window: number; ms: number} | undefined};

/** A TCP header's place and what is asked of it. */
type Segment = {view: DataView; tcp: number; options: number; payloadBytes: number; flags: number; key: string};

export class AcknowledgementFilter {
  readonly #nowMs: () => number;
  readonly #connections = new Map<string, Connection>();

  constructor(options: {nowMs: () => number}) {
    this.#nowMs = options.nowMs;
  }

  /** A frame from the guest: as passt shall have it, or undefined if it need not have it at all. The frame itself stays as it is. */
  pass(frame: Uint8Array): Uint8Array | undefined {
    const segment = tcpSegment(frame);
    if (segment === undefined) return frame;
    const {view, tcp, flags, key, payloadBytes} = segment;
    if ((flags & FLAG_SYN) !== 0) {
      this.#remember(segment);
      return frame;
    }
    const connection = this.#connections.get(key);
    if (connection === undefined) return frame;
    if ((flags & FLAG_RST) !== 0) this.#connections.delete(key);
    const window = view.getUint16(tcp + 14);
    const bare = payloadBytes === 0 && (flags & (FLAG_FIN | FLAG_RST)) === 0;
    if (bare && this.#repeats(connection, {ack: view.getUint32(tcp + 8), window})) return undefined;
    const told = wholeSegments(window, connection);
    return told === window ? frame : withWindow(frame, {tcp, window, told});
  }

  #remember({view, tcp, options, key}: Segment): void {
    const connection: Connection = {scale: 0, segmentBytes: DEFAULT_SEGMENT_BYTES, last: undefined};
    for (let at = tcp + 20; at < options; ) {
      const kind = view.getUint8(at);
      if (kind === OPTION_END) break;
      const lengthBytes = kind === OPTION_NOP ? 1 : at + 1 < options ? view.getUint8(at + 1) : 0;
      if (lengthBytes === 0 || at + lengthBytes > options) break;
      if (kind === OPTION_SEGMENT && lengthBytes === 4) connection.segmentBytes = Math.max(view.getUint16(at + 2), 1);
      if (kind === OPTION_SCALE && lengthBytes === 3) connection.scale = Math.min(view.getUint8(at + 2), 14);
      at += lengthBytes;
    }
    this.#connections.delete(key);
    this.#connections.set(key, connection);
    if (this.#connections.size <= CONNECTIONS_LIMIT) return;
    for (const oldest of this.#connections.keys()) {
      this.#connections.delete(oldest);
      return;
    }
  }

  #repeats(connection: Connection, {ack, window}: {ack: number; window: number}): boolean {
    const {last} = connection;
    const ms = this.#nowMs();
    if (last?.ack === ack && last.window === window && ms - last.ms < REPETITION_MS) return true;
    connection.last = {ack, window, ms};
    return false;
  }
}

/** The window field for as many whole segments as fit into this one; less than a segment is none. */
function wholeSegments(window: number, {scale, segmentBytes}: Connection): number {
  const bytes = Math.min(window * 2 ** scale, WINDOW_LIMIT_BYTES);
  return Math.floor((bytes - (bytes % segmentBytes)) / 2 ** scale);
}

/** The same frame with another window, its checksum brought up to date (RFC 1624, equation 3). */
function withWindow(frame: Uint8Array, {tcp, window, told}: {tcp: number; window: number; told: number}): Uint8Array {
  const changed = frame.slice();
  const view = new DataView(changed.buffer);
  view.setUint16(tcp + 14, told);
  let sum = (~view.getUint16(tcp + 16) & 0xffff) + (~window & 0xffff) + told;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(tcp + 16, ~sum & 0xffff);
  return changed;
}

/** Undefined when this is no whole TCP segment over IPv4. */
function tcpSegment(frame: Uint8Array): Segment | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.length < ETHERNET_BYTES + 40 || view.getUint16(12) !== ETHERTYPE_IPV4) return undefined;
  const ip = ETHERNET_BYTES;
  if (view.getUint8(ip + 9) !== PROTOCOL_TCP || (view.getUint16(ip + 6) & 0x3fff) !== 0) return undefined;
  const tcp = ip + (view.getUint8(ip) & 15) * 4;
  const end = ip + view.getUint16(ip + 2);
  if (end > frame.length || tcp + 20 > end) return undefined;
  const options = tcp + (view.getUint8(tcp + 12) >> 4) * 4;
  if (options < tcp + 20 || options > end) return undefined;
  const flags = view.getUint8(tcp + 13);
  // The guest's port and the other's address and port: one connection.
  const key = `${view.getUint32(ip + 12)} ${view.getUint32(ip + 16)} ${view.getUint32(tcp)}`;
  return {view, tcp, options, payloadBytes: end - options, flags, key};
}
