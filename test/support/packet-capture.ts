// Frames that come in at an interface, with the kernel's own timestamps: a packet socket (packet(7)), read through Node's event loop.

import {closeSync} from 'node:fs';
import koffi from 'koffi';
import type {NetworkNamespace} from './network-namespace.ts';

/** linux/if_packet.h, asm-generic/socket.h, linux/if_ether.h, linux/sockios.h; byte order of the network where it is one of a protocol. */
const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_PACKET = 263;
const PACKET_IGNORE_OUTGOING = 23;
const ETH_P_ALL = 3;
/** The time at which the frame that was read last was received: a timespec. Asking once makes the kernel take the times from then on. */
const SIOCGSTAMPNS = 0x8907;
const FRAME_LIMIT_BYTES = 65_562;

export type CapturedFrame = {atMs: number; port: string; bytes: Buffer};

export class PacketCapture implements Disposable {
  /** Oldest first, of each port. */
  readonly frames: CapturedFrame[] = [];
  readonly #sockets: {fd: number; poll: ReturnType<typeof koffi.node.poll>}[];

  /** Frames for which `wanted` holds, at these interfaces of a namespace. */
  constructor(namespace: NetworkNamespace, ports: readonly string[], wanted: (frame: Buffer) => boolean) {
    const libc = koffi.load(null);
    const read = libc.func('intptr_t read(int fd, void *buffer, size_t lengthBytes)');
    const ioctl = libc.func('int ioctl(int fd, unsigned long request, ...)');
    const buffer = Buffer.alloc(FRAME_LIMIT_BYTES);
    const time = new BigInt64Array(2);
    this.#sockets = ports.map((port) => {
      const fd = namespace.inside(() => openPacketSocket(libc, port));
      ioctl(fd, SIOCGSTAMPNS, 'void *', time);
      const poll = koffi.node.poll(fd, {readable: true}, () => {
        for (let length = read(fd, buffer, buffer.length); length > 0; length = read(fd, buffer, buffer.length)) {
          ioctl(fd, SIOCGSTAMPNS, 'void *', time);
          const bytes = Buffer.from(buffer.subarray(0, length));
          if (wanted(bytes)) this.frames.push({atMs: Number(time[0]) * 1e3 + Number(time[1]) / 1e6, port, bytes});
        }
      });
      return {fd, poll};
    });
  }

  [Symbol.dispose](): void {
    for (const {fd, poll} of this.#sockets) {
      poll.close();
      closeSync(fd);
    }
  }
}

function openPacketSocket(libc: ReturnType<typeof koffi.load>, port: string): number {
  const socket = libc.func('int socket(int domain, int type, int protocol)');
  const bind = libc.func('int bind(int fd, const void *address, uint32_t lengthBytes)');
  const setsockopt = libc.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t lengthBytes)');
  const interfaceIndex = libc.func('unsigned int if_nametoindex(const char *name)');
  const fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  /** struct sockaddr_ll: family, protocol, interface; the rest is not looked at. */
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16BE(ETH_P_ALL, 2);
  address.writeInt32LE(interfaceIndex(port), 4);
  const yes = Buffer.of(1, 0, 0, 0);
  if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, yes, yes.length) < 0 || bind(fd, address, address.length) < 0)
    throw new Error(`no packet socket at ${port}: errno ${koffi.errno()}`);
  return fd;
}
