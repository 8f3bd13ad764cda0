// A primary with everything around it: its console, its control socket, its followers, and the ways in which it can be told to end.
// `record`, a promoted backup and a cold promotion all end up here.

import {FtvmError} from '../errors.ts';
import type {ControlReply, ControlRequest} from '../host/control-socket.ts';
import {type Endpoint, formatEndpoint} from '../host/endpoint.ts';
import {type Followers, NO_FOLLOWERS, type Primary} from '../session/primary.ts';
import type {SessionEnd} from '../session/session.ts';
import type {Arbiter} from './arbiter.ts';
import {HeartbeatSocket} from './heartbeat.ts';
import {PrimaryReplication} from './primary-replication.ts';
import type {SessionStatus} from './session-status.ts';
import type {Timing} from './timing.ts';
import type {World} from './world.ts';

export type LiveRun = {end: SessionEnd; position: bigint; records: bigint};

export type ReplicationOptions = {
  /** Where followers may connect; undefined: nowhere. */
  listen: Endpoint | undefined;
  arbiter: Arbiter | undefined;
  timing: Timing;
};

/** Between two attempts to listen where it was not possible. */
const LISTEN_AGAIN_MS = 1000;

/** The followers' side of a primary: made before it, as it is a part of it. */
export class Replicating {
  readonly replication: PrimaryReplication | undefined;
  readonly #listening:
    | {at: Endpoint; world: World; heartbeats: HeartbeatSocket; note: (text: string) => void}
    | undefined;
  #listener: {close(): void} | undefined;
  #isClosed = false;

  /** Nobody can connect before it listens. */
  constructor(
    world: World,
    {listen: at, arbiter, timing}: ReplicationOptions,
    log: {path: string; lineageId: Uint8Array; generation: number; claimant: string; note: (text: string) => void},
  ) {
    if (at === undefined) return;
    const {note} = log;
    const heartbeats = new HeartbeatSocket(world);
    this.#listening = {at, world, heartbeats, note};
    this.replication = new PrimaryReplication({
      lineageId: log.lineageId,
      generation: log.generation,
      claimant: log.claimant,
      arbiter,
      timing,
      nowMs: () => world.nowMs(),
      openLog: (offset) => world.readLog(log.path, {offset}),
      heartbeats,
      note,
    });
  }

  /** Listens, if it shall. Throws FtvmError `network`. */
  static async open(...parts: ConstructorParameters<typeof Replicating>): Promise<Replicating> {
    const replicating = new Replicating(...parts);
    try {
      await replicating.#listen();
      return replicating;
    } catch (error) {
      await replicating.close('failed');
      throw error;
    }
  }

  /** Listens, if it shall, as soon as it is possible: for a guest that runs already, and does not end because a port is occupied. */
  async listenAtLast(): Promise<void> {
    for (let told = false; !this.#isClosed; told = true) {
      try {
        return await this.#listen();
      } catch (error) {
        if (!(error instanceof FtvmError) || error.code !== 'network') throw error;
        if (!told) this.#listening?.note(`${error.message}: trying again`);
        await new Promise((resolve) => setTimeout(resolve, LISTEN_AGAIN_MS));
      }
    }
  }

  async #listen(): Promise<void> {
    if (this.#listening === undefined) return;
    const {at, world, heartbeats, note} = this.#listening;
    let listener: {port: number; close(): void} | undefined;
    try {
      // At the channel's port, if the user has chosen that.
      await heartbeats.open(at);
      listener = await world.listen(at, (link) => this.replication?.accept(link));
    } finally {
      if (listener === undefined || this.#isClosed) heartbeats.close();
      if (this.#isClosed) listener?.close();
    }
    this.#listener = listener;
    note(`listening on ${formatEndpoint({host: at.host, port: listener.port})}`);
  }

  get followers(): Followers {
    return this.replication ?? NO_FOLLOWERS;
  }

  stateWasSent(): void {
    this.#listening?.world.returnMemory();
  }

  async close(reason: string): Promise<void> {
    this.#isClosed = true;
    await this.replication?.close(reason);
    this.#listener?.close();
  }
}

export class LivePrimary {
  readonly #primary: Primary;
  readonly #replicating: Replicating;
  readonly #generation: number;
  readonly #by: string;

  constructor(parts: {primary: Primary; replicating: Replicating; generation: number; by: string}) {
    this.#by = parts.by;
    this.#primary = parts.primary;
    this.#replicating = parts.replicating;
    this.#generation = parts.generation;
    const {replication} = parts.replicating;
    if (replication === undefined) return;
    const {primary} = parts;
    const append = (record: Parameters<Primary['journal']['appendRecord']>[0]): void => {
      primary.journal.appendRecord(record);
      primary.journal.flush();
    };
    replication.port = {
      changed: () => primary.followersChanged(),
      pause: (until) => primary.source.pause(until),
      finish: (end) => primary.source.finish(end),
      appendJoined(backup, generation) {
        append({kind: 'joined', position: primary.machine.position, generation, backup});
        parts.replicating.stateWasSent();
      },
      appendTakeover: (generation) => {
        const {releasedThrough} = primary.progress;
        append({kind: 'takeover', position: primary.machine.position, generation, by: this.#by, releasedThrough});
      },
      startState: () => primary.startState(),
      finishState(sender) {
        const {batches, pages, table, ordinal, digest} = primary.finishState(sender);
        const end = {
          ordinal: String(ordinal),
          position: String(primary.machine.position),
          digest: Buffer.from(digest).toString('hex'),
        };
        return {batches, pages, table, end};
      },
      position: () => primary.machine.position,
      appendedThrough: () => primary.appendedThrough,
      outputs: () => primary.progress,
    };
  }

  /** Runs the guest until it ends or is told to. */
  async run(signal: AbortSignal): Promise<LiveRun> {
    const stop = (): void => this.stop(signal.reason === 'SIGTERM' ? 'terminated' : 'stopped');
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    try {
      const end = await this.#primary.run();
      await this.#replicating.close(end.kind);
      return {end, position: this.#primary.machine.position, records: this.#primary.progress.writtenThrough};
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Ends the session; a terminated one hands over to a backup that is there. */
  stop(how: 'stopped' | 'terminated'): void {
    const handsOver = how === 'terminated' && this.#replicating.replication?.hasBackup === true;
    this.#primary.source.finish(handsOver ? 'handedOver' : 'stopped');
  }

  /** Answers the control socket. Throws FtvmError for what cannot be done. */
  async control(request: ControlRequest): Promise<ControlReply> {
    switch (request.command) {
      case 'status':
        return {ok: true, ...this.#status()};
      case 'promote': {
        if (this.#replicating.replication?.hasBackup !== true) {
          throw new FtvmError('alreadyRunning', 'this session is the primary already, and no backup follows it', {
            hint: 'Attach one first: ftvm tail tcp://HOST:PORT --follow. A dead primary is promoted from its log.',
          });
        }
        const {position} = this.#primary.machine;
        const backup = this.#replicating.replication.followers.find(({eligible}) => eligible);
        if (request['dryRun'] === true) {
          const stepsToGo = backup === undefined ? 0n : position - backup.position;
          const estimatedMs = backup?.lagMs ?? 0;
          return {
            ok: true,
            role: 'handing over',
            position: String(position),
            stepsToGo: String(stepsToGo),
            estimatedMs,
          };
        }
        this.#primary.source.finish('handedOver');
        return {ok: true, role: 'handing over', position: String(position)};
      }
      case 'pause':
        if (request['quiesce'] === true) await this.#primary.quiesce();
        else await this.#primary.pause();
        return {ok: true, ...this.#standing()};
      case 'resume':
        this.#primary.resume();
        return {ok: true, ...this.#standing()};
      default:
        return {ok: false, message: `a primary does not know the command ${request.command}`};
    }
  }

  #standing(): {position: string; paused: boolean} {
    return {position: String(this.#primary.machine.position), paused: this.#primary.paused};
  }

  #status(): SessionStatus {
    const {writtenThrough, releasedThrough, emittedThrough} = this.#primary.progress;
    const {replication} = this.#replicating;
    const {position} = this.#primary.machine;
    return {
      role: 'primary',
      generation: replication?.generation ?? this.#generation,
      standing: replication?.standing ?? 'alone',
      ...this.#standing(),
      writtenThrough: String(writtenThrough),
      unreleasedOutputs: Number(emittedThrough - releasedThrough),
      bytesByCause: this.#primary.journal.bytesByCause,
      ...(replication?.lastState !== undefined && {lastState: replication.lastState}),
      followers: (replication?.followers ?? []).map((follower) => ({
        name: follower.name,
        eligible: follower.eligible,
        acknowledgedThrough: String(follower.acknowledgedThrough),
        position: String(follower.position),
        lagSteps: Number(position - follower.position),
        lagMs: Math.round(follower.lagMs),
        channelSilentMs: Math.round(follower.channelSilentMs),
        ...(follower.datagramsSilentMs !== undefined && {datagramsSilentMs: Math.round(follower.datagramsSilentMs)}),
      })),
    };
  }
}
