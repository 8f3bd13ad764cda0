// `switch`, whole: listeners, the uplink and the table between them. It must outlive both hosts of a pair: on a third one, best.

import {FtvmError} from '../errors.ts';
import {FrameStream} from '../host/nic/frame-stream.ts';
import {readSecretFile} from '../host/secret-file.ts';
import {behind} from '../host/switch/impairment.ts';
import {LearningSwitch, type SwitchStatistics} from '../host/switch/learning-switch.ts';
import {type Forward, PasstUplink, UPLINK_NETWORK} from '../host/switch/passt-uplink.ts';
import {listenForGuests, type SwitchListener} from '../host/switch/switch-listener.ts';
import {parseEndpoint} from './endpoint.ts';
import {parseStreamAddress} from './nic-spec.ts';

export type SwitchOptions = {
  /** unix:PATH, tcp:HOST:PORT. */
  ports: readonly string[];
  uplink: 'passt' | undefined;
  /** HOST:PORT:GUEST:PORT. */
  forwards: readonly string[];
  /** Of frames that leave by a guest's port. */
  loss: number;
  delayMs: number;
  seed: number;
  secretPath: string | undefined;
  signal: AbortSignal;
  /** Gets a function that says what has passed so far. */
  onReady(statistics: () => SwitchStatistics): void;
  note: (text: string) => void;
};

/** Runs until the signal. Throws FtvmError for what cannot be listened at or started, and `peerVanished` when the uplink ends by itself. */
export async function runSwitch(options: SwitchOptions): Promise<SwitchStatistics> {
  const {note, signal} = options;
  const forwards = options.forwards.map(parseForward);
  const guests = new Set(forwards.map(({guestAddress}) => guestAddress));
  if (forwards.length > 0 && options.uplink === undefined) {
    throw new FtvmError('usage', '--forward needs an uplink', {hint: 'Add --uplink passt.'});
  }
  if (guests.size > 1) {
    throw new FtvmError('usage', `--forward to ${[...guests].join(' and ')}: one guest can be reached from outside`);
  }
  const secret = options.secretPath === undefined ? undefined : await readSecretFile(options.secretPath);
  const table = new LearningSwitch({nowMs: () => performance.now()});
  const ended = Promise.withResolvers<void>();
  const listeners: SwitchListener[] = [];
  let uplink: PasstUplink | undefined;
  try {
    if (options.uplink === 'passt') {
      const guestAddress = [...guests][0] ?? UPLINK_NETWORK.guest;
      uplink = await startUplink(table, {guestAddress, forwards, fail: (error) => ended.reject(error)});
      const {gateway, netmask} = UPLINK_NETWORK;
      note(`uplink: the guest's kernel command line needs ip=${guestAddress}::${gateway}:${netmask}`);
    }
    let lines = 0;
    for (const port of options.ports) {
      const address = parseStreamAddress(port, `--port ${port}`);
      const onGuest = (socket: ConstructorParameters<typeof FrameStream>[0], peer: string): void => {
        lines += 1;
        const line = {loss: options.loss, delayMs: options.delayMs, seed: options.seed + lines};
        plugIn(table, {socket, peer, line, note});
      };
      const listener = await listenForGuests(address, {secret, onGuest, note});
      listeners.push(listener);
      note(`guests plug in by --net stream:${listener.address}`);
    }
    options.onReady(() => table.statistics);
    const stop = (): void => ended.resolve();
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    await ended.promise;
    return table.statistics;
  } finally {
    for (const listener of listeners) listener.close();
    await uplink?.close();
  }
}

async function startUplink(
  table: LearningSwitch,
  parts: {guestAddress: string; forwards: readonly Forward[]; fail(error: FtvmError): void},
): Promise<PasstUplink> {
  let port: number | undefined;
  const uplink = await PasstUplink.start({
    guestAddress: parts.guestAddress,
    forwards: parts.forwards,
    onFrame: (frame) => port !== undefined && table.receive(port, frame),
    onEnded: (reason) => parts.fail(new FtvmError('peerVanished', `the uplink ended: ${reason}`)),
  });
  port = table.attach({name: 'uplink', send: (frame) => uplink.send(frame)});
  return uplink;
}

function plugIn(
  table: LearningSwitch,
  parts: {
    socket: ConstructorParameters<typeof FrameStream>[0];
    peer: string;
    line: Parameters<typeof behind>[0];
    note: (text: string) => void;
  },
): void {
  const {peer, note} = parts;
  const stream = new FrameStream(parts.socket, {
    frame: (frame) => table.receive(port, frame),
    closed(reason) {
      table.detach(port);
      note(`${peer}: unplugged: ${reason}`);
    },
  });
  const port = table.attach({name: peer, send: behind(parts.line, (frame) => stream.send(frame))});
  note(`${peer}: plugged in`);
}

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
