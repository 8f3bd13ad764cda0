// A Linux TAP device (Documentation/networking/tuntap.rst of the kernel): one read or write is one Ethernet frame. Attaches to an interface
// that is there already, made by whoever may: it makes none, and changes nothing of it. The calls never block; that there is something to
// read is said by Node's own event loop.

import {closeSync, constants, openSync} from 'node:fs';
import koffi from 'koffi';
import {FtvmError} from '../../errors.ts';
import {MAX_FRAME_BYTES} from './nic.ts';

const CLONE_DEVICE = '/dev/net/tun';
/** linux/if_tun.h */
const TUNSETIFF = 0x400454ca;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
/** linux/sockios.h, linux/if.h */
const SIOCGIFFLAGS = 0x8913;
const IFF_UP = 1;
/** struct ifreq: the name, 16 bytes with its closing zero; then a union, of which the flags are the first 2 bytes. */
const IFREQ_BYTES = 40;
const IFREQ_FLAGS_OFFSET = 16;
const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;

/** What `read` says: a frame, nothing at the moment, or that the interface is gone. */
export type TapRead = Uint8Array | 'nothing' | 'gone';
/** What became of a frame that was written. */
export type TapWrite = 'sent' | 'down' | 'gone' | 'congested' | 'badSize';

export class TapDevice {
  readonly #libc = loadLibc();
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafe(MAX_FRAME_BYTES);
  #poll: ReturnType<typeof koffi.node.poll> | undefined;

  /** Throws FtvmError `network` for an interface that cannot be used, `unsupportedHost` for a host without TAP. */
  constructor(name: string) {
    this.#fd = attach(this.#libc, name);
  }

  read(): TapRead {
    const lengthBytes = this.#libc.read(this.#fd, this.#buffer, MAX_FRAME_BYTES);
    if (lengthBytes >= 0) return new Uint8Array(this.#buffer.subarray(0, lengthBytes));
    return koffi.errno() === koffi.os.errno['EAGAIN'] ? 'nothing' : 'gone';
  }

  write(frame: Uint8Array): TapWrite {
    if (this.#libc.write(this.#fd, frame, frame.length) >= 0) return 'sent';
    const {errno} = koffi.os;
    switch (koffi.errno()) {
      case errno['EIO']:
        return 'down';
      case errno['EBADFD']:
        return 'gone';
      case errno['EINVAL']:
        return 'badSize';
      default:
        return 'congested';
    }
  }

  /** Calls `listener` whenever there is something to read, until `unwatch`. */
  watch(listener: () => void): void {
    if (this.#poll !== undefined) return;
    // koffi calls outside of Node's callbacks: promises that are settled there would wait for the next one.
    this.#poll = koffi.node.poll(this.#fd, {readable: true}, () => setImmediate(listener));
  }

  unwatch(): void {
    this.#poll?.close();
    this.#poll = undefined;
  }

  close(): void {
    this.unwatch();
    closeSync(this.#fd);
  }
}

type Libc = {
  read(fd: number, buffer: Uint8Array, lengthBytes: number): number;
  write(fd: number, bytes: Uint8Array, lengthBytes: number): number;
  ioctl(fd: number, request: number, type: 'void *', argument: Uint8Array): number;
  socket(domain: number, type: number, protocol: number): number;
  interfaceIndex(name: string): number;
};

function loadLibc(): Libc {
  if (process.platform !== 'linux') {
    throw new FtvmError('unsupportedHost', 'only Linux has TAP interfaces', {
      hint: 'Use ftvm switch, and --net stream:unix:PATH.',
    });
  }
  // The program itself has its C library's functions, whichever that is.
  const libc = koffi.load(null);
  return {
    read: libc.func('intptr_t read(int fd, void *buffer, size_t lengthBytes)'),
    write: libc.func('intptr_t write(int fd, const void *bytes, size_t lengthBytes)'),
    ioctl: libc.func('int ioctl(int fd, unsigned long request, ...)'),
    socket: libc.func('int socket(int domain, int type, int protocol)'),
    interfaceIndex: libc.func('unsigned int if_nametoindex(const char *name)'),
  };
}

/** The file descriptor. */
function attach(libc: Libc, name: string): number {
  // A privileged process would otherwise make the interface, and lose it at its end, bridge and all.
  if (libc.interfaceIndex(name) === 0) {
    throw new FtvmError('network', `tap:${name}: there is no interface ${name}`, {
      hint: `Make one: ip tuntap add dev ${name} mode tap user $USER; ip link set ${name} up`,
    });
  }
  const fd = openCloneDevice(name);
  try {
    if (libc.ioctl(fd, TUNSETIFF, 'void *', interfaceRequest(name, IFF_TAP | IFF_NO_PI)) < 0) throw notAttached(name);
    if (!isUp(libc, name)) {
      throw new FtvmError('network', `tap:${name}: the interface is down`, {hint: `ip link set ${name} up`});
    }
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openCloneDevice(name: string): number {
  try {
    return openSync(CLONE_DEVICE, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException;
    const denied = code === 'EACCES' || code === 'EPERM';
    throw new FtvmError(denied ? 'network' : 'unsupportedHost', `tap:${name}: cannot open ${CLONE_DEVICE}: ${code}`, {
      hint: denied
        ? `Let this user read and write ${CLONE_DEVICE}, as most systems do: chmod 666.`
        : 'Load the module: modprobe tun. A container must be given the device.',
      cause: error,
    });
  }
}

function notAttached(name: string): FtvmError {
  const {errno} = koffi.os;
  switch (koffi.errno()) {
    case errno['EBUSY']:
      return new FtvmError('network', `tap:${name}: another process is attached`, {
        hint: 'Each guest needs a TAP interface of its own.',
      });
    case errno['EPERM']:
      return new FtvmError('network', `tap:${name}: the interface belongs to another user`, {
        hint: `Make it this user's: ip tuntap add dev ${name} mode tap user $USER`,
      });
    case errno['EINVAL']:
      return new FtvmError('network', `tap:${name}: ${name} is no TAP interface, or one with several queues`, {
        hint: 'ip tuntap list shows which there are; they are made with "mode tap" and without "multi_queue".',
      });
    default:
      return new FtvmError('network', `tap:${name}: cannot attach: errno ${koffi.errno()}`);
  }
}

function isUp(libc: Libc, name: string): boolean {
  const request = interfaceRequest(name, 0);
  const socket = libc.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const answer = libc.ioctl(socket, SIOCGIFFLAGS, 'void *', request);
  closeSync(socket);
  return answer >= 0 && (request.readUInt16LE(IFREQ_FLAGS_OFFSET) & IFF_UP) !== 0;
}

function interfaceRequest(name: string, flags: number): Buffer {
  const request = Buffer.alloc(IFREQ_BYTES);
  request.write(name);
  request.writeUInt16LE(flags, IFREQ_FLAGS_OFFSET);
  return request;
}
