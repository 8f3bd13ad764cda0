// `tail`: a follower of a growing file or of a primary's channel. It goes live when it is told to, when the primary hands over, and,
// with --auto-promote, when the primary is lost and the arbiter gives it the next generation. Otherwise it looks for the next primary.

import {FtvmError} from '../errors.ts';
import type {ControlReply, ControlRequest} from '../host/control-socket.ts';
import type {Endpoint} from '../host/endpoint.ts';
import type {Nic} from '../host/nic/nic.ts';
import type {StreamPoint} from '../logformat/stream-point.ts';
import type {ArtefactPaths} from '../session/artefacts.ts';
import {Follower} from '../session/follower.ts';
import {GrowingFileFeed} from '../session/growing-file-feed.ts';
import type {SessionEnd} from '../session/session.ts';
import type {Arbiter} from './arbiter.ts';
import type {ChannelFeed} from './channel-feed.ts';
import {parseEndpoint} from './endpoint.ts';
import {type FollowedChannel, followChannel} from './follow-channel.ts';
import {LivePrimary, type LiveRun, Replicating} from './live-run.ts';
import {matchNics, type NicSpec, openNics, parseNicSpec} from './nic-spec.ts';
import type {Timing} from './timing.ts';
import type {World} from './world.ts';

export type TailOptions = {
  /** A log file, or addresses tcp://HOST:PORT at which the primary may be found. */
  sources: readonly string[];
  /** Go on following where the log ends, and when the primary is lost. */
  follow: boolean;
  autoPromote: boolean;
  fromStart: boolean;
  /** The follower's own log (tcp only). */
  logPath: string;
  overwrite: boolean;
  /** Whether this follower offers itself as the backup. */
  eligible: boolean;
  listen: string | undefined;
  /** Where the guest's NICs are plugged in once it is live here, in order. */
  net: readonly string[];
  timing: Timing;
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

/** Between two rounds of looking for a primary. */
const SEARCH_INTERVAL_MS = 100;
/** Between two attempts to reach the arbiter. */
const RETRY_MS = 250;
/** Of a NIC. */
const EVERYTHING = {frames: Number.MAX_SAFE_INTEGER, bytes: Number.MAX_SAFE_INTEGER};

export async function runTail(world: World, options: TailOptions): Promise<TailResult> {
  return new Tail(world, options).run();
}

/** What is followed, at the moment. */
type Followed = {
  follower: Follower;
  channel: ChannelFeed | undefined;
  arbiter: Arbiter | undefined;
  /** Where its log is, and ends: the point, and the bytes of the file up to there. Final once it is closed. */
  path: string;
  end(): {point: StreamPoint | undefined; sizeBytes: number};
  drain(): void;
  close(reason: string, message?: string): Promise<void>;
};

/** How following ended: what to do next. */
type Verdict = 'done' | 'goLive' | 'lookAgain';

class Tail {
  readonly #options: TailOptions;
  readonly #world: World;
  readonly #claimant: string;
  readonly #name: string;
  readonly #nicSpecs: readonly NicSpec[];
  /** What is plugged in already. */
  #nics: Nic[] | undefined;
  #followed: Followed | undefined;
  #live: LivePrimary | undefined;
  /** Promotion requests that came in by the control socket. */
  #requests: ((reply: ControlReply) => void)[] = [];
  #requestedMs: number | undefined;
  #decided: () => void = () => {};

  constructor(world: World, options: TailOptions) {
    this.#world = world;
    this.#options = options;
    this.#nicSpecs = options.net.map(parseNicSpec);
    this.#claimant = world.uniqueId();
    this.#name = `${world.processName} ${this.#claimant.slice(0, 8)}`;
    if (options.autoPromote && !options.sources.every(isRemote)) {
      throw new FtvmError('usage', '--auto-promote needs a primary to follow over a channel: tcp://HOST:PORT');
    }
  }

  async run(): Promise<TailResult> {
    const {sources, logPath, note, signal} = this.#options;
    const remote = isRemote(sources[0]);
    const controlled = remote ? logPath : `${sources[0]}.follower`;
    const control = await this.#world.control(controlled, (request) => this.#control(request));
    const abort = (): void => {
      this.#followed?.drain();
      this.#decided();
    };
    signal.addEventListener('abort', abort);
    try {
      for (let attempt = 0; ; attempt += 1) {
        const followed = remote ? await this.#findPrimary(attempt) : await this.#openFile();
        this.#followed = followed;
        await this.#plugIn(followed);
        if (signal.aborted) followed.drain();
        const {end, verdict} = await this.#follow(followed);
        const {verified, ended} = followed.follower.journal;
        const result = {ended, position: followed.follower.machine.position, ...verified};
        if (verdict === 'done') {
          await followed.close(end.kind === 'stopped' ? 'stopped' : 'followed');
          followed.follower.close();
          await followed.arbiter?.close();
          return {outcome: 'followed', ...result};
        }
        if (verdict === 'goLive') {
          signal.removeEventListener('abort', abort);
          const live = await this.#goLive(followed);
          return {outcome: 'promoted', ...result, live};
        }
        note('looking for the next primary');
        await followed.close('looking for the next primary');
        followed.follower.close();
        await followed.arbiter?.close();
        this.#followed = undefined;
      }
    } catch (error) {
      await this.#followed?.close('failed', error instanceof Error ? error.message : undefined).catch(() => {});
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
      control.close();
      for (const nic of this.#nics ?? []) nic.close();
      for (const reply of this.#requests) reply({ok: false, message: 'the follower has ended'});
    }
  }

  /** Tries every address in turn. At first they must answer; later, when a primary was lost, one of them will. */
  async #findPrimary(attempt: number): Promise<Followed> {
    const {sources, signal, note} = this.#options;
    for (let round = 0; ; round += 1) {
      let failure: unknown;
      for (const source of sources) {
        try {
          return await this.#connect(parseEndpoint(source, 'SOURCE'), attempt > 0 || round > 0);
        } catch (error) {
          const mayPass =
            error instanceof FtvmError && ['network', 'peerVanished', 'torn', 'lostArbitration'].includes(error.code);
          if (!mayPass || signal.aborted) throw error;
          failure ??= error;
        }
      }
      if (attempt === 0 && !(this.#options.follow && sources.length > 1)) throw failure;
      if (round === 0) note('no primary answers yet: waiting');
      await new Promise((resolve) => setTimeout(resolve, SEARCH_INTERVAL_MS));
    }
  }

  async #connect(endpoint: Endpoint, again: boolean): Promise<Followed> {
    const {logPath, overwrite, eligible, fromStart, note, onOutput, onProgress, onDigest, paths, signal} =
      this.#options;
    const channel: FollowedChannel = await followChannel(this.#world, endpoint, {
      logPath,
      overwrite: overwrite || again,
      name: this.#name,
      eligible,
      takeoverMs: this.#options.timing.takeoverMs,
      fromStart,
      paths,
      sink: (output) => output.kind === 'console' && onOutput?.(output.bytes),
      onProgress,
      onDigest,
      signal,
      onEnd: (end) => {
        if (end.kind === 'lost') note(`primary lost: ${end.message}`);
      },
    });
    const {feed, file, follower, arbiter} = channel;
    if (this.#options.autoPromote && arbiter === undefined) {
      feed.close('failed');
      throw new FtvmError('usage', '--auto-promote needs an arbiter, and the log names none', {
        hint: 'Start the primary with --arbiter dir:PATH or nats://HOST:PORT.',
      });
    }
    return {
      follower,
      channel: feed,
      arbiter,
      path: logPath,
      end: () => ({point: feed.point, sizeBytes: file.sizeBytes}),
      drain: () => feed.drain(),
      async close(reason, message) {
        feed.close(reason, message);
        await file.close();
      },
    };
  }

  async #openFile(): Promise<Followed> {
    const {sources, follow, paths, onOutput, onProgress, onDigest, signal} = this.#options;
    const [path] = sources;
    const feed = await GrowingFileFeed.open(path);
    if (!follow) feed.drain();
    const follower = await Follower.open({
      feed,
      logPath: path,
      build: (header) => this.#world.buildMachine(header, {path, paths}),
      sink: (output) => output.kind === 'console' && onOutput?.(output.bytes),
      onProgress,
      onDigest,
      signal,
    });
    const spec = follower.header.arbiter;
    return {
      follower,
      channel: undefined,
      arbiter: spec === null ? undefined : await this.#world.openArbiter(spec),
      path,
      end: () => ({point: feed.point, sizeBytes: feed.wholeBytes}),
      drain: () => feed.drain(),
      close: () => feed.close(),
    };
  }

  async #follow(followed: Followed): Promise<{end: SessionEnd; verdict: Verdict}> {
    const {follower, channel} = followed;
    const {signal, follow, eligible, autoPromote, note} = this.#options;
    const end = await follower.run();
    const {ended} = follower.journal;
    if (end.kind === 'halted' || signal.aborted) return {end, verdict: 'done'};
    if (ended === 'handedOver') {
      const chosen = eligible && this.#isBackup(followed);
      if (!chosen) return {end, verdict: follow && channel !== undefined ? 'lookAgain' : 'done'};
      return {end, verdict: (await this.#win(followed)) ? 'goLive' : 'lookAgain'};
    }
    // Its primary has lost the guest to another, who is to be found.
    if (ended === 'superseded' && follow && channel !== undefined) return {end, verdict: 'lookAgain'};
    if (this.#requestedMs !== undefined) return {end, verdict: (await this.#win(followed)) ? 'goLive' : 'lookAgain'};
    if (channel?.end?.kind !== 'lost' || !follow) return {end, verdict: 'done'};
    if (autoPromote) {
      const chosen = eligible && this.#isBackup(followed);
      return {end, verdict: chosen && (await this.#win(followed)) ? 'goLive' : 'lookAgain'};
    }
    note(`everything received is replayed; carry it on with: ftvm promote ${followed.path}`);
    await new Promise<void>((resolve) => {
      this.#decided = resolve;
    });
    if (signal.aborted) return {end, verdict: 'done'};
    return {end, verdict: (await this.#win(followed)) ? 'goLive' : 'lookAgain'};
  }

  /** Whether the log says that this follower is the backup. */
  #isBackup({follower}: Followed): boolean {
    return follower.journal.backup === this.#name;
  }

  /** Wins the next generation, if there is an arbiter to be asked. From now on nothing more is read or acknowledged. */
  async #win(followed: Followed): Promise<boolean> {
    const {arbiter, follower} = followed;
    const {note, signal} = this.#options;
    followed.drain();
    if (arbiter === undefined) return true;
    const lineageId = Buffer.from(follower.header.lineageId).toString('hex');
    const generation = follower.journal.generation + 1;
    for (let told = false; ; told = true) {
      try {
        const result = await arbiter.claim({lineageId, generation, claimant: this.#claimant});
        if (result.kind === 'won') return true;
        note(`generation ${generation} is another's (${result.by})`);
        return false;
      } catch (error) {
        if (!(error instanceof FtvmError) || error.code !== 'arbiterUnreachable' || signal.aborted) throw error;
        if (!told) note(`${error.message}: waiting`);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  async #goLive(followed: Followed): Promise<LiveRun> {
    const {listen, signal, note, timing} = this.#options;
    const {follower, path, arbiter} = followed;
    await followed.close('promoted');
    const {point, sizeBytes} = followed.end();
    if (point === undefined) throw new FtvmError('torn', 'nothing was received yet: there is no machine to carry on');
    const generation = follower.journal.generation + 1;
    const file = await this.#world.continueLog(path, {sizeBytes});
    const replicating = new Replicating(
      this.#world,
      {listen: listen === undefined ? undefined : parseEndpoint(listen, '--listen'), arbiter, timing},
      {path, lineageId: point.lineageId, generation, claimant: this.#claimant, note},
    );
    const nics = (this.#nics ??= await openNics(this.#world, this.#nicSpecs));
    const console = this.#world.openConsole(() => this.#live?.stop('stopped'));
    try {
      const {followers} = replicating;
      const primary = follower.goLive({...this.#parts(), point, file, console, nics, followers, generation});
      this.#live = new LivePrimary({primary, replicating, generation, by: this.#world.processName});
      const {position} = follower.machine;
      note(`live from position ${position}, generation ${generation}`);
      if (primary.paused) note(`the guest is paused: ftvm resume ${path} lets it go on`);
      const tookMs = this.#requestedMs === undefined ? 0 : this.#world.nowMs() - this.#requestedMs;
      for (const reply of this.#requests) reply({ok: true, role: 'primary', position: String(position), tookMs});
      this.#requests = [];
      // The guest goes on first; followers come in a moment.
      const listening = replicating.listenAtLast();
      const live = await this.#live.run(signal);
      await listening;
      return live;
    } finally {
      console.close();
      await replicating.close('stopped');
      follower.close();
    }
  }

  /**
   * A backup that could not reach the network would save nobody: its NICs are plugged in from the start, hear and say nothing, so that
   * what is wrong is known now, and nothing has to be waited for at the takeover. Throws FtvmError `usage`, and what `openNics` throws.
   */
  async #plugIn({follower}: Followed): Promise<void> {
    const {length: nicCount} = follower.header.config.nics;
    matchNics(this.#nicSpecs, nicCount);
    if (!this.#options.autoPromote || this.#nics !== undefined) return;
    if (this.#nicSpecs.length !== nicCount) {
      throw new FtvmError(
        'usage',
        `--auto-promote needs one --net for each of the guest's NICs, of which it has ${nicCount}`,
        {
          hint: 'Plug this host into the same network as the primary: --net stream:unix:/run/switch.sock.',
        },
      );
    }
    this.#nics = await openNics(this.#world, this.#nicSpecs);
    for (const nic of this.#nics) nic.onFrames(() => nic.take(EVERYTHING));
  }

  /** What the world gives a follower that goes live. */
  #parts(): {clock: World['clock']; entropy: World['entropy']; by: string} {
    const {clock, processName} = this.#world;
    return {clock, entropy: (lengthBytes) => this.#world.entropy(lengthBytes), by: processName};
  }

  async #control(request: ControlRequest): Promise<ControlReply> {
    if (this.#live !== undefined) return this.#live.control(request);
    const {follower, channel} = this.#followed ?? {};
    switch (request.command) {
      case 'status':
        return {
          ok: true,
          role: 'follower',
          generation: follower?.journal.generation ?? 0,
          backup: this.#followed !== undefined && follower !== undefined && this.#isBackup(this.#followed),
          primary: channel === undefined ? 'file' : channel.end === undefined ? 'connected' : 'lost',
          paused: follower?.journal.paused ?? false,
          position: String(follower?.machine.position ?? 0n),
          digests: follower?.journal.verified.digests ?? 0,
        };
      case 'promote':
        return request['dryRun'] === true ? await this.#outlook() : this.#promoteNow();
      case 'pause':
      case 'resume':
        throw new FtvmError('usage', 'this session follows the guest, it does not run it', {
          hint: "Ask the one that does: by the primary's log.",
        });
      default:
        return {ok: false, message: `a follower does not know the command ${request.command}`};
    }
  }

  /** Whether a promotion would succeed now, and how long it would take. Throws FtvmError as the promotion would fail. */
  async #outlook(): Promise<ControlReply> {
    const followed = this.#followed;
    if (followed === undefined)
      throw new FtvmError('usage', 'nothing is followed yet: there is no machine to carry on');
    this.#refuseUnlessBackup();
    const {follower, channel, arbiter} = followed;
    const {position} = follower.machine;
    const through = channel?.receivedPosition ?? followed.end().point?.position ?? position;
    const stepsToGo = through > position ? through - position : 0n;
    const startMs = this.#world.nowMs();
    const lineageId = Buffer.from(follower.header.lineageId).toString('hex');
    const current = await arbiter?.current(lineageId);
    if (current !== undefined && current.generation > follower.journal.generation) {
      throw new FtvmError('lostArbitration', `generation ${current.generation} is taken by ${current.claimant}`, {
        hint: 'Another carries this guest on.',
      });
    }
    const estimatedMs = this.#world.nowMs() - startMs + follower.replayMs(stepsToGo);
    return {ok: true, role: 'primary', position: String(through), stepsToGo: String(stepsToGo), estimatedMs};
  }

  /** A primary that lives hands over to its backup only. */
  #refuseUnlessBackup(): void {
    const followed = this.#followed;
    if (followed?.channel === undefined || followed.channel.end !== undefined || this.#isBackup(followed)) return;
    throw new FtvmError('usage', 'the primary lives, and this follower is not its backup', {
      hint: 'ftvm status shows who is. A follower without --observer becomes the backup when there is no other.',
    });
  }

  /** A living primary hands over; a dead one has nothing more to say. */
  #promoteNow(): Promise<ControlReply> {
    this.#refuseUnlessBackup();
    this.#requestedMs ??= this.#world.nowMs();
    const reply = Promise.withResolvers<ControlReply>();
    this.#requests.push(reply.resolve);
    const {channel} = this.#followed ?? {};
    if (channel !== undefined && channel.end === undefined) {
      channel.requestHandOver();
    } else {
      this.#followed?.drain();
      this.#decided();
    }
    return reply.promise;
  }
}

function isRemote(source: string): boolean {
  return source.startsWith('tcp://');
}
