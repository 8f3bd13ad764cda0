// The primary's side of replication: which follower's acknowledgements gate outputs, and what happens when it is lost. Paper 2.2 and
// 2.4, with its gaps closed (DESIGN 7): removing the backup consumes a generation, which must be won first; a primary whose own loop
// was silent releases nothing until the arbiter confirms its generation.

import {randomUUID} from 'node:crypto';
import {FtvmError} from '../errors.ts';
import type {Followers} from '../session/primary.ts';
import type {Run, SourceEnd} from '../session/session.ts';
import type {StateSender} from '../session/state-transfer.ts';
import type {Arbiter} from './arbiter.ts';
import {type FinishedState, FollowerLink, type LogBytes, type StatePause} from './follower-link.ts';
import type {HeartbeatSocket} from './heartbeat.ts';
import {PositionClock, slowdownMs} from './lag.ts';
import type {Link} from './link.ts';
import {CHANNEL_PROTOCOL} from './messages.ts';
import {RunRate} from './run-rate.ts';
import type {Timing} from './timing.ts';

/** How long a closing primary waits for the backup's last acknowledgement. */
const FAREWELL_MS = 5000;
/** How often a follower is told how far it may run where nothing happens, if no run is begun before it could be told of. */
const ADVANCE_INTERVAL_MS = 10;
/** Pause between two attempts to reach the arbiter. */
const RETRY_MS = 250;
/** Followers report every 50 ms. Whoever says nothing for so long is gone, backup or not. */
const SILENT_FOLLOWER_MS = 10_000;
const FOLLOWERS_LIMIT = 256;
/**
 * A backup that is heard, and acknowledges nothing for so many times the take-over time, has a channel that does not recover: what was
 * lost while a line was dead for less than the take-over time, TCP sends again after twice that at most (RFC 6298, 5.5).
 */
const STALLED_TAKEOVERS = 3;

/** What replication asks of the primary that it serves. */
export type PrimaryPort = {
  /** Outputs may leave now. */
  changed(): void;
  pause(until: Promise<void>): void;
  finish(end: SourceEnd): void;
  appendJoined(backup: string, generation: number): void;
  /** Appends and writes the record of a generation that this primary has won again. */
  appendTakeover(generation: number): void;
  startState(): StateSender;
  finishState(sender: StateSender): FinishedState;
  position(): bigint;
  /** Ordinal of the last record that was appended, written or not. */
  appendedThrough(): bigint;
  /** Ordinals: the last output that left, the last that was emitted. */
  outputs(): {releasedThrough: bigint; emittedThrough: bigint};
};

type Standing =
  /** No backup: the log alone counts. */
  | {kind: 'alone'}
  | {kind: 'protected'; backup: FollowerLink}
  /** The backup is gone, and its generation is not won yet: nothing leaves. */
  | {kind: 'removing'}
  /** This process stood still; somebody may have taken over: nothing leaves. */
  | {kind: 'unconfirmed'; then: Standing}
  /** Another is primary. */
  | {kind: 'superseded'};

export type PrimaryReplicationParts = {
  lineageId: Uint8Array;
  generation: number;
  /** Unique to this process. */
  claimant: string;
  arbiter: Arbiter | undefined;
  timing: Timing;
  nowMs(): number;
  openLog(offset: number): Promise<LogBytes>;
  heartbeats: HeartbeatSocket;
  note(text: string): void;
};

export type FollowerFacts = {
  name: string;
  eligible: boolean;
  acknowledgedThrough: bigint;
  /** What it has executed, and how long ago this primary was there. */
  position: bigint;
  lagMs: number;
  /** How long ago something came over the channel, and as a datagram; undefined: never. */
  channelSilentMs: number;
  datagramsSilentMs: number | undefined;
};

export class PrimaryReplication implements Followers {
  readonly #parts: PrimaryReplicationParts;
  readonly #lineageId: string;
  readonly #followers = new Set<FollowerLink>();
  #port: PrimaryPort | undefined;
  /** There is a primary, and its log. */
  readonly #served = Promise.withResolvers<PrimaryPort>();
  #standing: Standing = {kind: 'alone'};
  #generation: number;
  #nonce: Promise<{name: string; value: string}> | undefined;
  /** The nonce that stands in the arbiter's store. */
  #proven: string | undefined;
  #writtenThrough = 0n;
  #quietPosition: bigint | undefined;
  /** The last record whose outputs were allowed to leave: the gate never closes behind what it has let through. */
  #allowed = 0n;
  /**
   * The last record there was when the arbiter confirmed this primary. Who acknowledges a later one has heard of us since; of an earlier one
   * it may have been said before the backup gave us up, and come late.
   */
  #doubtedThrough = 0n;
  #advanceTimer: NodeJS.Timeout | undefined;
  readonly #runRate = new RunRate();
  readonly #watchTimer: NodeJS.Timeout;
  #lastTickMs: number;
  /** How often it was doubtful whether the generation is still ours. */
  #doubts = 0;
  #closing = false;
  #lastState: ({follower: string} & StatePause) | undefined;
  readonly #positions = new PositionClock();
  #waiting: {condition: () => boolean; resolve: () => void}[] = [];

  constructor(parts: PrimaryReplicationParts) {
    this.#parts = parts;
    this.#lineageId = Buffer.from(parts.lineageId).toString('hex');
    this.#generation = parts.generation;
    this.#lastTickMs = parts.nowMs();
    this.#watchTimer = setInterval(() => this.#watch(), parts.timing.heartbeatMs / 2);
  }

  set port(port: PrimaryPort) {
    this.#port = port;
    this.#served.resolve(port);
  }

  get generation(): number {
    return this.#generation;
  }

  get standing(): Standing['kind'] {
    return this.#standing.kind;
  }

  get hasBackup(): boolean {
    return this.#standing.kind === 'protected';
  }

  /** For `status`. */
  get followers(): FollowerFacts[] {
    const {backup} = this;
    const nowMs = this.#parts.nowMs();
    return [...this.#followers].map((follower) => ({
      name: follower.name,
      eligible: follower === backup,
      acknowledgedThrough: follower.acknowledgedThrough,
      position: follower.position,
      lagMs: this.#lagMs(follower),
      channelSilentMs: nowMs - follower.channelHeardMs,
      datagramsSilentMs: follower.datagramHeardMs === undefined ? undefined : nowMs - follower.datagramHeardMs,
    }));
  }

  /** The last state that was sent, for `status`; undefined: none was. */
  get lastState(): ({follower: string} & StatePause) | undefined {
    return this.#lastState;
  }

  get backup(): FollowerLink | undefined {
    return this.#standing.kind === 'protected' ? this.#standing.backup : undefined;
  }

  accept(link: Link): void {
    const {nowMs, openLog, heartbeats} = this.#parts;
    const follower = new FollowerLink(link, {
      lineageId: this.#lineageId,
      nowMs,
      openLog,
      appendedThrough: () => this.#port?.appendedThrough(),
      welcome: async (session) => ({
        protocol: CHANNEL_PROTOCOL,
        lineageId: this.#lineageId,
        // Who comes before the log is there waits: what is in its place is another's.
        position: String((await this.#served.promise).position()),
        generation: this.#generation,
        nonceName: (await this.#proof()).name,
        ...this.#parts.timing,
        datagramPort: heartbeats.port,
        session: Buffer.from(session).toString('hex'),
      }),
      pair: (session) => heartbeats.pair({session, side: 'primary', to: undefined}),
      startState: () => this.#requirePort().startState(),
      finishState: (sender) => this.#requirePort().finishState(sender),
      stateSent: (to, pause) => this.#stateSent(to, pause),
      spoke: (speaking, silentMs) => {
        if (speaking === this.backup && silentMs > this.#parts.timing.takeoverMs)
          this.#doubt(`the backup's channel was silent for ${Math.round(silentMs)} ms`);
      },
      acknowledges: (acknowledging, ordinal) => {
        if (acknowledging === this.backup && ordinal <= this.#doubtedThrough)
          this.#doubt('the backup acknowledges what was written before');
      },
      heard: (heard) => this.#heard(heard),
      wantsHandOver: (asking) => {
        if (asking === this.backup) this.#port?.finish('handedOver');
      },
      closed: (gone, reason) => this.#lost(gone, reason),
    });
    this.#followers.add(follower);
    if (this.#followers.size > FOLLOWERS_LIMIT) this.#makeRoom(follower);
  }

  /** Who has said nothing yet cannot keep others out: the oldest of them makes room. */
  #makeRoom(newcomer: FollowerLink): void {
    for (const follower of this.#followers) {
      if (follower.greeted || follower === newcomer) continue;
      follower.drop(`it has not greeted, and ${FOLLOWERS_LIMIT} others are here`);
      return;
    }
    newcomer.drop(`${FOLLOWERS_LIMIT} followers are here already`);
  }

  // Followers: what the output gate and the log tell and ask

  recordsReleased(writtenThrough: bigint): bigint {
    this.#wakeWaiting();
    this.#noticeSilence();
    const standing = this.#standing;
    const allowed =
      standing.kind === 'alone'
        ? writtenThrough
        : standing.kind === 'protected'
          ? least(standing.backup.acknowledgedThrough, writtenThrough)
          : 0n;
    if (allowed > this.#allowed) this.#allowed = allowed;
    return standing.kind === 'alone' || standing.kind === 'protected' ? this.#allowed : 0n;
  }

  slowdownMs(): number {
    const {backup} = this;
    if (backup === undefined) return 0;
    this.#positions.note(this.#port?.position() ?? 0n, this.#parts.nowMs());
    return slowdownMs({lagMs: this.#lagMs(backup), roundTripMs: backup.roundTripMs});
  }

  #lagMs(follower: FollowerLink): number {
    return this.#positions.lagMs(follower.position, this.#parts.nowMs());
  }

  get following(): boolean {
    return this.#followers.size > 0;
  }

  logGrew(state: {writtenThrough: bigint; quietPosition: bigint | undefined}): void {
    const grown = state.writtenThrough !== this.#writtenThrough;
    this.#writtenThrough = state.writtenThrough;
    this.#quietPosition = state.quietPosition;
    for (const follower of grown ? this.#followers : []) {
      follower.owes(state.writtenThrough);
      follower.pump();
    }
    if (this.#followers.size > 0) this.#scheduleAdvance();
  }

  /** Whoever is the backup then has it on its disk; one that was lost must be replaced by a generation of our own first. */
  async synced(ordinal: bigint): Promise<void> {
    for (;;) {
      await this.#until(() => this.backup !== undefined || this.#standsAlone);
      const {backup} = this;
      if (backup === undefined) return;
      backup.requestSync(ordinal);
      await this.#until(() => this.backup !== backup || backup.syncedThrough >= ordinal);
      if (backup.syncedThrough >= ordinal) return;
    }
  }

  get #standsAlone(): boolean {
    return this.#standing.kind === 'alone' || this.#standing.kind === 'superseded';
  }

  /** Resolves when the condition, which depends on what followers and the arbiter say, holds. */
  #until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({condition, resolve}));
  }

  #wakeWaiting(): void {
    const ready = this.#waiting.filter(({condition}) => condition());
    this.#waiting = this.#waiting.filter((waiting) => !ready.includes(waiting));
    for (const {resolve} of ready) resolve();
  }

  async caughtUp(ordinal: bigint): Promise<void> {
    const {backup} = this;
    const deadlineMs = this.#parts.nowMs() + FAREWELL_MS;
    while (
      backup !== undefined &&
      this.backup === backup &&
      backup.acknowledgedThrough < ordinal &&
      this.#parts.nowMs() < deadlineMs
    ) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** Says farewell to every follower. */
  async close(reason: string): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#advanceTimer);
    clearInterval(this.#watchTimer);
    await Promise.all([...this.#followers].map((follower) => follower.farewell(reason)));
    this.#parts.heartbeats.close();
    await this.#parts.arbiter?.close();
  }

  #stateSent({name: follower}: FollowerLink, {pauseMs, pages}: StatePause): void {
    this.#lastState = {follower, pauseMs: Math.round(pauseMs * 10) / 10, pages};
    this.#parts.note(`state sent to a follower: the guest stood still for ${pauseMs.toFixed(0)} ms (${pages} pages)`);
  }

  // Backups

  #heard(follower: FollowerLink): void {
    if (this.#standing.kind === 'alone' && this.#mayBeBackup(follower)) {
      this.#standing = {kind: 'protected', backup: follower};
      this.#parts.note(`backup joined: ${follower.name}`);
      this.#port?.appendJoined(follower.name, this.#generation);
    }
    this.#port?.changed();
  }

  /** It holds all that was written, everything that left before it joined has left, and it means the same arbiter. */
  #mayBeBackup(follower: FollowerLink): boolean {
    if (!follower.offersItself || this.#closing || !this.#caughtUpOnce(follower)) return false;
    if (this.#parts.arbiter === undefined) return true;
    if (follower.nonce === this.#proven) return true;
    follower.drop('its arbiter is another store than ours: it could take over unnoticed');
    return false;
  }

  /** It holds what was written when it was first ready. What came since it has with the `joined` record, before which it is no backup. */
  #caughtUpOnce(follower: FollowerLink): boolean {
    follower.readyAt ??= this.#writtenThrough;
    return follower.acknowledgedThrough >= follower.readyAt;
  }

  #lost(follower: FollowerLink, reason: string): void {
    this.#followers.delete(follower);
    if (this.#closing) return;
    const standing = this.#standing.kind === 'unconfirmed' ? this.#standing.then : this.#standing;
    if (standing.kind !== 'protected' || standing.backup !== follower) return;
    this.#parts.note(`backup lost: ${follower.name}: ${reason}`);
    if (this.#standing.kind === 'unconfirmed') this.#standing = {kind: 'unconfirmed', then: {kind: 'removing'}};
    else this.#remove();
  }

  /** The backup may go live any moment: this side must win the next generation before anything leaves (paper 2.3). */
  #remove(): void {
    if (this.#parts.arbiter === undefined) {
      this.#standing = {kind: 'alone'};
      this.#port?.changed();
      return;
    }
    this.#standing = {kind: 'removing'};
    const won = this.#winGeneration(this.#parts.arbiter, this.#generation + 1);
    this.#port?.pause(won);
  }

  async #winGeneration(arbiter: Arbiter, generation: number): Promise<void> {
    const {claimant, note} = this.#parts;
    for (let told = false; !this.#closing; ) {
      try {
        const result = await arbiter.claim({lineageId: this.#lineageId, generation, claimant});
        if (result.kind === 'lost') {
          this.#supersede(result.by);
          return;
        }
        this.#generation = generation;
        this.#standing = {kind: 'alone'};
        note(`going on alone, generation ${generation}`);
        this.#port?.appendTakeover(generation);
        this.#port?.changed();
        return;
      } catch (error) {
        if (!(error instanceof FtvmError) || error.code !== 'arbiterUnreachable') throw error;
        if (!told) note(`${error.message}: the guest waits`);
        told = true;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  #supersede(by: string): void {
    this.#standing = {kind: 'superseded'};
    this.#parts.note(
      `another carries the guest on (${by}): this side ends, and what it had not released is thrown away`,
    );
    this.#port?.finish('superseded');
    this.#wakeWaiting();
  }

  // Silence

  #watch(): void {
    this.#noticeSilence();
    const {backup} = this;
    const {takeoverMs} = this.#parts.timing;
    if (backup !== undefined && this.#parts.nowMs() - backup.lastHeardMs > takeoverMs)
      backup.giveUp(`nothing was heard for ${takeoverMs} ms`);
    else if (backup !== undefined && backup.owesForMs > STALLED_TAKEOVERS * takeoverMs)
      backup.giveUp(`it lives, and has acknowledged nothing for ${STALLED_TAKEOVERS * takeoverMs} ms`);
    for (const follower of this.#followers) follower.heartbeat();
    // If it was this process that stood still, what came meanwhile is heard before.
    setImmediate(() => this.#dropSilent());
  }

  #dropSilent(): void {
    for (const follower of this.#followers) {
      if (this.#parts.nowMs() - follower.lastHeardMs > SILENT_FOLLOWER_MS)
        follower.drop(`nothing was heard for ${SILENT_FOLLOWER_MS} ms`);
    }
  }

  /** Our own loop stood still so long that the backup may have taken over: nothing leaves before the arbiter has confirmed us. */
  #noticeSilence(): void {
    const nowMs = this.#parts.nowMs();
    const silentMs = nowMs - this.#lastTickMs;
    this.#lastTickMs = nowMs;
    if (silentMs > this.#parts.timing.takeoverMs)
      this.#doubt(`this process stood still for ${Math.round(silentMs)} ms`);
  }

  /**
   * The backup may have gone live, though this side has heard of nothing: what it acknowledges now it may have sent long before, and
   * must not release anything any more (DESIGN 7).
   */
  #doubt(why: string): void {
    const {arbiter, note} = this.#parts;
    this.#doubts += 1;
    if (arbiter === undefined || this.#standing.kind !== 'protected') return;
    this.#standing = {kind: 'unconfirmed', then: this.#standing};
    note(`${why}: asking the arbiter`);
    this.#port?.pause(this.#confirm(arbiter));
  }

  async #confirm(arbiter: Arbiter): Promise<void> {
    while (!this.#closing && this.#standing.kind === 'unconfirmed') {
      try {
        const doubts = this.#doubts;
        const current = await arbiter.current(this.#lineageId);
        this.#noticeSilence();
        if (this.#standing.kind !== 'unconfirmed') return;
        // The answer may be from before the last doubt.
        if (doubts !== this.#doubts) continue;
        if (current?.claimant !== this.#parts.claimant) {
          this.#supersede(current?.claimant ?? 'nobody that the arbiter knows');
          return;
        }
        const {then} = this.#standing;
        if (then.kind === 'removing') {
          this.#standing = then;
          await this.#winGeneration(arbiter, this.#generation + 1);
          return;
        }
        this.#doubtedThrough = this.#port?.appendedThrough() ?? 0n;
        this.#standing = then;
        this.#port?.changed();
        return;
      } catch (error) {
        if (!(error instanceof FtvmError) || error.code !== 'arbiterUnreachable') throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  // Small change

  #scheduleAdvance(): void {
    this.#advanceTimer ??= setTimeout(() => {
      this.#advanceTimer = undefined;
      this.#advanceQuiet();
    }, ADVANCE_INTERVAL_MS);
  }

  /** Followers make the run at the same time. */
  runBegins(run: Run): void {
    if (this.#followers.size === 0 || !this.#runRate.allows(this.#parts.nowMs())) return;
    clearTimeout(this.#advanceTimer);
    this.#advanceTimer = undefined;
    this.#advance(run);
  }

  #advanceQuiet(): void {
    const position = this.#quietPosition;
    if (position !== undefined) this.#advance({position, until: position});
  }

  #advance(run: Run): void {
    if (this.#port === undefined) return;
    const {releasedThrough} = this.#port.outputs();
    for (const follower of this.#followers) follower.advance({...run, releasedThrough});
  }

  /** Puts a nonce into the arbiter's store, once; a backup that reads it there means the same store. */
  #proof(): Promise<{name: string; value: string}> {
    this.#nonce ??= this.#putNonce();
    // A store that cannot be reached now is asked again by the next follower.
    this.#nonce.catch(() => {
      this.#nonce = undefined;
    });
    return this.#nonce;
  }

  async #putNonce(): Promise<{name: string; value: string}> {
    const {arbiter, claimant} = this.#parts;
    if (arbiter === undefined) return {name: '', value: ''};
    const nonce = {name: claimant, value: randomUUID()};
    await arbiter.putNonce(this.#lineageId, nonce.name, nonce.value);
    this.#proven = nonce.value;
    return nonce;
  }

  #requirePort(): PrimaryPort {
    if (this.#port === undefined) throw new FtvmError('network', 'the primary is not ready yet');
    return this.#port;
  }
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
