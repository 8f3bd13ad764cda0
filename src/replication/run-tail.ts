// `tail`: a follower of a growing file or of a primary's channel, which becomes the primary when it is told to, or when the primary
// hands over.

import {FtvmError} from '../errors.ts';
import {ProcessConsole} from '../host/console.ts';
import type {ControlReply, ControlRequest} from '../host/control-socket.ts';
import {ControlServer, controlSocketPath} from '../host/control-socket.ts';
import {LogFileWriter} from '../host/log-file.ts';
import type {StreamPoint} from '../logformat/stream-point.ts';
import type {ArtefactPaths} from '../session/artefacts.ts';
import {Follower} from '../session/follower.ts';
import {GrowingFileFeed} from '../session/growing-file-feed.ts';
import {NO_FOLLOWERS} from '../session/primary.ts';
import type {FrameFeed} from '../session/record-queue.ts';
import {ChannelFeed} from './channel-feed.ts';
import {ChannelServer} from './channel-server.ts';
import {type Endpoint, formatEndpoint, parseEndpoint} from './endpoint.ts';
import {LivePrimary, type LiveRun} from './live-run.ts';

export type TailOptions = {
  /** A log file, or tcp://HOST:PORT. */
  source: string;
  /** Go on following when the log ends for now. */
  follow: boolean;
  /** The follower's own log (tcp only). */
  logPath: string;
  overwrite: boolean;
  /** Whether this follower offers itself as the backup. */
  eligible: boolean;
  listen: string | undefined;
  paths: ArtefactPaths;
  onOutput: ((bytes: Uint8Array) => void) | undefined;
  onProgress: (position: bigint) => void;
  onDigest: (position: bigint, digest: Uint8Array) => void;
  signal: AbortSignal;
  note: (text: string) => void;
};

export type TailResult = {
  /** `followed`: the log ended, or following was ended, without a promotion. */
  outcome: 'followed' | 'promoted';
  /** What the log's last record says of its end, if it is one. */
  ended: string | undefined;
  position: bigint;
  records: number;
  digests: number;
  live?: LiveRun;
};

/** What a follower must be able to do with its source. */
type FollowedLog = FrameFeed & {
  readonly point: StreamPoint | undefined;
  drain(): void;
  /** Bytes of `path` up to the last whole frame. */
  wholeBytes(): number;
  readonly path: string;
  /** The primary's side when it is reachable. */
  readonly channel: ChannelFeed | undefined;
  close(reason: string, message?: string): Promise<void>;
};

export async function runTail(options: TailOptions): Promise<TailResult> {
  const tail = new Tail(options);
  return tail.run();
}

class Tail {
  readonly #options: TailOptions;
  #follower: Follower | undefined;
  #log: FollowedLog | undefined;
  #live: LivePrimary | undefined;
  /** Resolves the promotion requests that came in by the control socket. */
  #promotion: {resolve: (reply: ControlReply) => void}[] = [];
  #promote = false;
  #startedMs = 0;

  constructor(options: TailOptions) {
    this.#options = options;
  }

  async run(): Promise<TailResult> {
    const {options} = {options: this.#options};
    const remote = options.source.startsWith('tcp://');
    const socketPath = controlSocketPath(remote ? options.logPath : `${options.source}.follower`);
    const control = await ControlServer.listen(socketPath, (request) => this.#control(request));
    try {
      this.#log = remote ? await this.#connect(parseEndpoint(options.source, 'SOURCE')) : await this.#openFile();
      return await this.#follow(this.#log);
    } catch (error) {
      await this.#log?.close('failed', error instanceof Error ? error.message : undefined);
      throw error;
    } finally {
      control.close();
      for (const {resolve} of this.#promotion) resolve({ok: false, message: 'the follower has ended'});
    }
  }

  async #connect(endpoint: Endpoint): Promise<FollowedLog> {
    const {logPath, overwrite, eligible, note} = this.#options;
    const file = await LogFileWriter.create(logPath, {overwrite});
    const feed: ChannelFeed = await ChannelFeed.connect(endpoint, {
      file,
      eligible,
      position: () => this.#follower?.machine.position ?? 0n,
      onEnd: (end) => {
        if (end.kind === 'lost') note(`primary lost: ${end.message}`);
      },
    });
    return {
      next: async () => {
        const next = await feed.next();
        if (next !== undefined || this.#promote || this.#options.signal.aborted) return next;
        // A lost primary may still be promoted; whoever follows without intending it is done.
        if (feed.end?.kind === 'lost' && this.#options.follow) await this.#decision(`ftvm promote ${logPath}`);
        return undefined;
      },
      get point() {
        return feed.point;
      },
      drain: () => feed.drain(),
      wholeBytes: () => file.sizeBytes,
      path: logPath,
      channel: feed,
      async close(reason, message) {
        feed.close(reason, message);
        await file.close();
      },
    };
  }

  async #openFile(): Promise<FollowedLog> {
    const {source, follow} = this.#options;
    const feed = await GrowingFileFeed.open(source);
    if (!follow) feed.drain();
    return {
      next: () => feed.next(),
      get point() {
        return feed.point;
      },
      drain: () => feed.drain(),
      wholeBytes: () => feed.wholeBytes,
      path: source,
      channel: undefined,
      close: () => feed.close(),
    };
  }

  async #follow(log: FollowedLog): Promise<TailResult> {
    const {signal, note, onOutput} = this.#options;
    const abort = (): void => {
      log.drain();
      this.#decided();
    };
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
    const follower = await Follower.open({
      feed: log,
      logPath: log.path,
      paths: this.#options.paths,
      sink: (output) => output.kind === 'console' && onOutput?.(output.bytes),
      onProgress: this.#options.onProgress,
      onDigest: this.#options.onDigest,
      signal,
    });
    this.#follower = follower;
    const end = await follower.run();
    const {verified, ended} = follower.journal;
    const result = {ended, position: follower.machine.position, ...verified};
    const handedOver = ended === 'handedOver' && log.channel !== undefined && this.#options.eligible;
    if (end.kind === 'halted' || signal.aborted || !(this.#promote || handedOver)) {
      signal.removeEventListener('abort', abort);
      await log.close(signal.aborted ? 'stopped' : 'followed');
      follower.close();
      return {outcome: 'followed', ...result};
    }
    signal.removeEventListener('abort', abort);
    note(`going live at position ${follower.machine.position}`);
    const live = await this.#goLive(follower, log);
    return {outcome: 'promoted', ...result, live};
  }

  async #goLive(follower: Follower, log: FollowedLog): Promise<LiveRun> {
    const {listen, signal, note} = this.#options;
    const {point} = log;
    if (point === undefined) throw new FtvmError('torn', 'nothing was received yet: there is no machine to carry on');
    await log.close('promoted');
    // Only now: until then frames that were received may be on their way to the file.
    const sizeBytes = log.wholeBytes();
    const file = await LogFileWriter.continue(log.path, {sizeBytes});
    const channel =
      listen === undefined
        ? undefined
        : await ChannelServer.listen(parseEndpoint(listen, '--listen'), {
            logPath: log.path,
            lineageId: point.lineageId,
          });
    if (listen !== undefined && channel !== undefined)
      note(`listening on ${formatEndpoint({...parseEndpoint(listen, '--listen'), port: channel.port})}`);
    const console = new ProcessConsole({onEscape: () => this.#live?.stop('stopped')});
    try {
      const primary = follower.goLive({point, file, console, followers: channel ?? NO_FOLLOWERS});
      this.#live = new LivePrimary({primary, channel, generation: follower.journal.generation + 1, note});
      const tookMs = performance.now() - this.#startedMs;
      for (const {resolve} of this.#promotion) {
        resolve({
          ok: true,
          role: 'primary',
          position: String(follower.machine.position),
          tookMs: this.#startedMs === 0 ? 0 : tookMs,
        });
      }
      this.#promotion = [];
      return await this.#live.run(signal);
    } finally {
      console.close();
      await channel?.close('stopped');
      follower.close();
    }
  }

  async #control(request: ControlRequest): Promise<ControlReply> {
    if (this.#live !== undefined) return this.#live.control(request);
    const position = this.#follower?.machine.position ?? 0n;
    switch (request.command) {
      case 'status':
        return {
          ok: true,
          role: 'follower',
          position: String(position),
          digests: this.#follower?.journal.verified.digests ?? 0,
        };
      case 'promote':
        return this.#promoteNow();
      default:
        return {ok: false, message: `a follower does not know the command ${request.command}`};
    }
  }

  /** A living primary hands over; a dead one has nothing more to say. */
  #promoteNow(): Promise<ControlReply> {
    this.#startedMs = performance.now();
    const channel = this.#log?.channel;
    const reply = new Promise<ControlReply>((resolve) => this.#promotion.push({resolve}));
    if (channel !== undefined && channel.end === undefined) {
      channel.requestHandOver();
    } else {
      this.#promote = true;
      this.#log?.drain();
      this.#decided();
    }
    return reply;
  }

  // A follower whose primary is lost waits for somebody to decide.

  #decided: () => void = () => {};

  async #decision(command: string): Promise<void> {
    this.#options.note(`everything received is replayed; carry it on with: ${command}`);
    await new Promise<void>((resolve) => {
      this.#decided = resolve;
    });
  }
}
