// The way out of a switch without privileges: passt, a program of the distribution that turns frames into this host's own sockets and
// back. It is started as a child and ended by its own process id. One guest can be reached through it: passt remembers one address.
// passt(1): -f foreground, -4 IPv4 alone, -a/-n/-g what the guest has, -t forwards, --runas whom it becomes, --fd the
// guest's side: when that is closed, as by our death, passt ends.

import {type ChildProcess, spawn} from 'node:child_process';
import type {Socket} from 'node:net';
import {FtvmError} from '../../errors.ts';
import {FrameStream} from '../nic/frame-stream.ts';
import {AcknowledgementFilter} from './acknowledgement-filter.ts';

export type Forward = {host: string; port: number; guestPort: number};

export type UplinkOptions = {
  /** The guest that can be reached, in UPLINK_NETWORK. */
  guestAddress: string;
  forwards: readonly Forward[];
  onFrame(frame: Uint8Array): void;
  /** Nothing waits for passt any more. */
  onDrained(): void;
  /** It ended though nobody asked it to. */
  onEnded(reason: string): void;
};

/** As in QEMU's user network, so that guests made for that need no change. */
export const UPLINK_NETWORK = {prefix: '10.0.2.', netmask: '255.255.255.0', gateway: '10.0.2.2', guest: '10.0.2.15'};

const START_TIMEOUT_MS = 5000;
const PROBE_INTERVAL_MS = 50;
/** A MAC that no guest has. */
const PROBE_MAC = Uint8Array.of(0x02, 0, 0, 0, 0, 0);
/** A service may be there some tenths of a second after the guest's interface: passt must have heard of the guest by then. */
const GUEST_INTERVAL_MS = 100;
/** The child's descriptor of the guest's side. */
const GUEST_FD = 3;
/** `nobody`, whom passt becomes when root starts it. */
const NOBODY = 65_534;
/** What is kept of its messages: the first are the telling ones. */
const MESSAGES_LIMIT_CHARS = 8192;

export class PasstUplink {
  readonly #child: ChildProcess;
  readonly #stream: FrameStream;
  readonly #filter = new AcknowledgementFilter({nowMs: () => performance.now()});
  readonly #exited: Promise<void>;
  #closing = false;
  #onFrame: (frame: Uint8Array) => void;
  /** passt's own MAC, from its answer. */
  #mac: Uint8Array = PROBE_MAC;
  #asking: NodeJS.Timeout | undefined;

  private constructor(child: ChildProcess, options: UplinkOptions) {
    this.#child = child;
    this.#exited = new Promise((resolve) => child.once('close', () => resolve()));
    this.#onFrame = options.onFrame;
    // A pipe of Node's is a pair of Unix sockets, duplex.
    this.#stream = new FrameStream(child.stdio[GUEST_FD] as Socket, {
      frame: (frame) => this.#onFrame(frame),
      drained: options.onDrained,
      closed: (reason) => this.#closing || options.onEnded(reason),
    });
  }

  /** Throws FtvmError `unsupportedHost` when there is no passt, or it does not start, with what it said. */
  static async start(options: UplinkOptions): Promise<PasstUplink> {
    const child = spawn('passt', passtArguments(options), {stdio: ['ignore', 'ignore', 'pipe', 'pipe']});
    let messages = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (messages.length < MESSAGES_LIMIT_CHARS) messages += text;
    });
    const failed = new Promise<string>((resolve) => {
      child.once('error', (error: NodeJS.ErrnoException) => {
        resolve(error.code === 'ENOENT' ? 'there is no passt here' : error.message);
      });
      // Not `exit`: what it said comes after that.
      child.once('close', (code, signal) => resolve(`passt ended with ${code ?? signal}: ${withoutNoise(messages)}`));
    });
    const uplink = new PasstUplink(child, options);
    const failure = await uplink.#answers(failed);
    if (failure === undefined) {
      uplink.#askForGuest(options.guestAddress);
      return uplink;
    }
    child.kill('SIGKILL');
    throw cannotStart(failure);
  }

  send(frame: Uint8Array): boolean {
    this.#stopAsking();
    const passed = this.#filter.pass(frame);
    return passed === undefined || this.#stream.send(passed);
  }

  get congested(): boolean {
    return this.#stream.congested;
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** passt ends when its guest is gone; and is ended. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#stopAsking();
    this.#stream.close();
    this.#child.kill('SIGTERM');
    await this.#exited;
  }

  /**
   * passt learns the guest's MAC from what the guest sends, and connections from outside go nowhere before. A server that only waits
   * sends nothing: so it is asked for its address, in the gateway's name, until it has said anything.
   */
  #askForGuest(guestAddress: string): void {
    const question = arpRequest({mac: this.#mac, sender: UPLINK_NETWORK.gateway, target: guestAddress});
    this.#asking = setInterval(() => this.#onFrame(question), GUEST_INTERVAL_MS);
  }

  #stopAsking(): void {
    clearInterval(this.#asking);
  }

  /** Asks for the gateway's MAC until it is told, which is when passt is ready. Resolves to what went wrong otherwise. */
  async #answers(failed: Promise<string>): Promise<string | undefined> {
    const {onFrame, probe} = {
      onFrame: this.#onFrame,
      probe: arpRequest({mac: PROBE_MAC, sender: UPLINK_NETWORK.guest, target: UPLINK_NETWORK.gateway}),
    };
    const answered = new Promise<undefined>((resolve) => {
      this.#onFrame = (frame) => {
        this.#mac = frame.slice(6, 12);
        resolve(undefined);
      };
    });
    this.#closing = true;
    const timer = setInterval(() => this.#stream.send(probe), PROBE_INTERVAL_MS);
    this.#stream.send(probe);
    let deadline: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      deadline = setTimeout(() => resolve('passt does not answer'), START_TIMEOUT_MS);
    });
    const failure = await Promise.race([answered, failed, late]);
    clearInterval(timer);
    clearTimeout(deadline);
    this.#onFrame = onFrame;
    this.#closing = failure !== undefined;
    return failure;
  }
}

function passtArguments({guestAddress, forwards}: UplinkOptions): string[] {
  const uid = process.getuid?.() ?? 0;
  const runAs = uid === 0 ? `${NOBODY}:${NOBODY}` : `${uid}:${process.getgid?.() ?? uid}`;
  return [
    '--foreground',
    '--stderr',
    '--ipv4-only',
    ...['--fd', String(GUEST_FD), '--runas', runAs],
    ...['--address', guestAddress, '--netmask', UPLINK_NETWORK.netmask, '--gateway', UPLINK_NETWORK.gateway],
    // Else the guest would reach every service on this host's loopback under the gateway's address.
    '--no-map-gw',
    ...forwards.flatMap(({host, port, guestPort}) => ['--tcp-ports', `${host}/${port}:${guestPort}`]),
  ];
}

/** ARP (RFC 826): who has the target's address? Asked by `sender`. */
function arpRequest({mac, sender, target}: {mac: Uint8Array; sender: string; target: string}): Uint8Array {
  const bytes = (address: string): number[] => address.split('.').map(Number);
  const head = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ...mac, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1];
  return Uint8Array.from([...head, ...mac, ...bytes(sender), 0, 0, 0, 0, 0, 0, ...bytes(target)]);
}

function cannotStart(failure: string): FtvmError {
  const noRoute = /default route|routable interface|interface/i.test(failure);
  const hint = /there is no passt/.test(failure)
    ? "Install Debian's package passt, or leave --uplink out: guests on one switch reach each other without it."
    : noRoute
      ? 'passt needs an interface with a default route, even for the loopback alone: ip route add default dev IFACE.'
      : 'Is a port of --forward in use already? Ports below 1024 are for root.';
  return new FtvmError('unsupportedHost', `no uplink: ${failure}`, {hint});
}

/** Without a system log it complains of that about every line. */
function withoutNoise(messages: string): string {
  const lines = messages.split('\n').filter((line) => line !== '' && !line.startsWith('Failed to send'));
  return lines.slice(-5).join('; ');
}
