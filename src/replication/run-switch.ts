// `switch`, whole: listeners, the uplink and the table between them. It must outlive both hosts of a pair: on a third one, best.

import type {Socket} from 'node:net';
import {FtvmError} from '../errors.ts';
import {type ControlReply, type ControlRequest, ControlServer} from '../host/control-socket.ts';
import {FrameStream} from '../host/nic/frame-stream.ts';
import {readSecretFile} from '../host/secret-file.ts';
import {LearningSwitch} from '../host/switch/learning-switch.ts';
import {GOOD_LINE, type LineSettings} from '../host/switch/line.ts';
import {LineBoard} from '../host/switch/line-board.ts';
import {type Forward, PasstUplink, UPLINK_NETWORK} from '../host/switch/passt-uplink.ts';
import {listenForGuests, type SwitchListener} from '../host/switch/switch-listener.ts';
import {parseEndpoint} from './endpoint.ts';
import {parsePortSpec} from './port-spec.ts';
import {readLineChange, type SwitchStatus} from './switch-control.ts';

/** The uplink's place, for the control socket. */
const UPLINK = 'uplink';

export type SwitchOptions = {
  /** unix:PATH, tcp:HOST:PORT; ,loss=P ,delay=MS ,cut may follow. */
  ports: readonly string[];
  uplink: 'passt' | undefined;
  /** HOST:PORT:GUEST:PORT. */
  forwards: readonly string[];
  /** Of a port that says nothing else. */
  line: LineSettings;
  seed: number;
  /** Where it listens for `set` and `status`; undefined: beside the first Unix socket for guests, if there is one. */
  controlPath: string | undefined;
  secretPath: string | undefined;
  signal: AbortSignal;
  note: (text: string) => void;
};

/** Runs until the signal. Throws FtvmError for what cannot be listened at or started, and `peerVanished` when the uplink ends by itself. */
export async function runSwitch(options: SwitchOptions): Promise<SwitchStatus> {
  const {note, signal} = options;
  const ports = options.ports.map((port) => parsePortSpec(port, options.line));
  const forwards = options.forwards.map(parseForward);
  const guests = new Set(forwards.map(({guestAddress}) => guestAddress));
  if (forwards.length > 0 && options.uplink === undefined) {
    throw new FtvmError('usage', '--forward needs an uplink', {hint: 'Add --uplink passt.'});
  }
  if (guests.size > 1) {
    throw new FtvmError('usage', `--forward to ${[...guests].join(' and ')}: one guest can be reached from outside`);
  }
  const secret = options.secretPath === undefined ? undefined : await readSecretFile(options.secretPath);
  const places = new Map(ports.map(({place, line}) => [place, line]));
  if (options.uplink !== undefined) places.set(UPLINK, GOOD_LINE);
  const running = new RunningSwitch({places, seed: options.seed, note});
  const ended = Promise.withResolvers<void>();
  const open: {close(): unknown}[] = [];
  try {
    const [besidePath] = ports.flatMap(({address}) => (address.kind === 'unix' ? [`${address.path}.control`] : []));
    const controlPath = options.controlPath ?? besidePath;
    if (controlPath !== undefined) {
      open.push(await ControlServer.listen(controlPath, async (request) => running.control(request)));
      note(`controlled by ftvm switch set ${controlPath}`);
    }
    if (options.uplink === 'passt') {
      const guestAddress = [...guests][0] ?? UPLINK_NETWORK.guest;
      open.push(await running.startUplink({guestAddress, forwards, fail: (error) => ended.reject(error)}));
      const {gateway, netmask} = UPLINK_NETWORK;
      note(`uplink: the guest's kernel command line needs ip=${guestAddress}::${gateway}:${netmask}`);
    }
    for (const {address, place} of ports) {
      const onGuest = (socket: Socket, name: string): void => running.plugIn(socket, {name, place});
      const listener: SwitchListener = await listenForGuests(address, {secret, onGuest, note});
      open.push(listener);
      note(`guests plug in by --net stream:${listener.address}`);
    }
    const stop = (): void => ended.resolve();
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    await ended.promise;
    return running.status;
  } finally {
    for (const part of open) await part.close();
  }
}

class RunningSwitch {
  readonly #table = new LearningSwitch({nowMs: () => performance.now()});
  readonly #lines: LineBoard;
  readonly #note: (text: string) => void;

  constructor(parts: {places: ReadonlyMap<string, LineSettings>; seed: number; note: (text: string) => void}) {
    this.#lines = new LineBoard(parts);
    this.#note = parts.note;
  }

  get status(): SwitchStatus {
    const {ports, ...rest} = this.#table.statistics;
    return {...rest, ports: ports.map((port) => ({...port, ...this.#lines.settings(port.number)}))};
  }

  control(request: ControlRequest): ControlReply {
    switch (request.command) {
      case 'status':
        return {ok: true, ...this.status};
      case 'set': {
        const {port, change} = readLineChange(request);
        return {ok: true, ports: this.#lines.set(port, change)};
      }
      default:
        return {ok: false, message: `a switch does not know the command ${request.command}`};
    }
  }

  /** Throws FtvmError `unsupportedHost`. */
  async startUplink(parts: {
    guestAddress: string;
    forwards: readonly Forward[];
    fail(error: FtvmError): void;
  }): Promise<PasstUplink> {
    let attached: AttachedPort | undefined;
    const uplink = await PasstUplink.start({
      guestAddress: parts.guestAddress,
      forwards: parts.forwards,
      onFrame: (frame) => attached?.receive(frame),
      onDrained: () => attached?.drained(),
      onEnded: (reason) => parts.fail(new FtvmError('peerVanished', `the uplink ended: ${reason}`)),
    });
    attached = this.#attach(uplink, {name: UPLINK, place: UPLINK});
    return uplink;
  }

  plugIn(socket: Socket, {name, place}: {name: string; place: string}): void {
    const stream = new FrameStream(socket, {
      frame: (frame) => attached.receive(frame),
      drained: () => attached.drained(),
      closed: (reason) => {
        attached.detach();
        this.#note(`${name}: unplugged: ${reason}`);
      },
    });
    const attached = this.#attach(stream, {name, place});
    this.#note(`${name}: plugged in`);
  }

  #attach(peer: FramePeer, {name, place}: {name: string; place: string}): AttachedPort {
    const table = this.#table;
    const number = table.attach({
      name,
      send: (frame) => line.send(frame),
      congested: () => peer.congested,
      read: ({on}) => (on ? peer.resume() : peer.pause()),
    });
    const line = this.#lines.open(number, {place, send: (frame) => peer.send(frame)});
    return {
      receive: (frame) => line.settings.cut || table.receive(number, frame),
      drained: () => table.drained(number),
      detach: () => {
        table.detach(number);
        this.#lines.close(number);
      },
    };
  }
}

/** Who is plugged in, or the uplink. */
type FramePeer = Pick<FrameStream, 'send' | 'congested' | 'pause' | 'resume'>;

type AttachedPort = {receive(frame: Uint8Array): void; drained(): void; detach(): void};

/** Throws FtvmError `usage`. */
function parseForward(text: string): Forward & {guestAddress: string} {
  const match = /^(\d+(?:\.\d+){3}:\d+):(\d+(?:\.\d+){3}:\d+)$/.exec(text);
  if (match === null) {
    throw new FtvmError('usage', `--forward ${text}: not a forward`, {
      hint: `Write it like 127.0.0.1:6379:${UPLINK_NETWORK.guest}:6379: here, then in the guest.`,
    });
  }
  const {host, port} = parseEndpoint(match[1], '--forward');
  const {host: guestAddress, port: guestPort} = parseEndpoint(match[2], '--forward');
  const {prefix, gateway} = UPLINK_NETWORK;
  if (!guestAddress.startsWith(prefix) || guestAddress === gateway) {
    throw new FtvmError(
      'usage',
      `--forward ${text}: a guest behind the uplink has an address ${prefix}X other than ${gateway}`,
    );
  }
  return {host, port, guestPort, guestAddress};
}
