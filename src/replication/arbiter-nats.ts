// The arbiter `nats://…`: the JetStream key-value bucket "ftvm" of a NATS cluster, a key LINEAGE.GENERATION for each claim. Whoever
// claims appends his id to the key's history, without a condition; the first id, read back from the bucket's leader, decides. Nothing is
// ever deleted. Absence is never concluded from a read: a deposed leader may answer with what it does not know yet.

import {randomUUID} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {
  DiscardPolicy,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
  type StreamInfoRequestOptions,
} from '@nats-io/jetstream';
import {connect, credsAuthenticator, type NatsConnection, type NodeConnectionOptions} from '@nats-io/transport-node';
import {FtvmError} from '../errors.ts';
import {
  type Arbiter,
  assertClaim,
  assertLineage,
  assertNonce,
  type Claim,
  type ClaimResult,
  isClaimant,
  unreachableArbiter,
} from './arbiter.ts';

const BUCKET = 'ftvm';
/** How key-value buckets are laid out on streams (NATS ADR-8), so that `nats kv` shows them. */
const STREAM = `KV_${BUCKET}`;
const SUBJECT = `$KV.${BUCKET}`;
/** In a cluster; a single server has one. A majority of three is the least that outlives a node. */
const CLUSTER_REPLICAS = 3;

/** One whole question. Electing a new leader takes 4 to 6 s (measured with three 2.9.10 nodes). */
const TIMEOUT_MS = 10_000;
/** One request; then another server is tried. On loopback an answer takes 2 ms. */
const REQUEST_TIMEOUT_MS = 1000;
const RETRY_PAUSE_MS = 100;
const RECONNECT_PAUSE_MS = 200;
/** Two unanswered pings end a connection. */
const PING_INTERVAL_MS = 1000;

/** Error codes of JetStream's API. */
const STREAM_NOT_FOUND = 10_059;
const NAME_IN_USE = 10_058;
/** Too few JetStream nodes are up for the replicas wanted. */
const NO_SUITABLE_PEERS = 10_005;

export type NatsArbiterOptions = {
  spec: string;
  /** HOST:PORT */
  servers: string[];
  timeoutMs?: number;
  /** NATS_USER with NATS_PASSWORD, NATS_CREDS, NATS_CA: as NATS's own tool knows them. */
  environment?: NodeJS.ProcessEnv;
};

type Session = {
  readonly connection: NatsConnection;
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
  hasBucket: boolean;
};

/** An answer that decides nothing: ask again. */
const AGAIN = Symbol('again');

export class NatsArbiter implements Arbiter {
  readonly spec: string;
  readonly #servers: string[];
  readonly #timeoutMs: number;
  readonly #environment: NodeJS.ProcessEnv;
  #session: Promise<Session> | undefined;
  /** When the bucket was made. Another one has forgotten the claims. */
  #bucketCreated: string | undefined;
  #closed = false;

  constructor({spec, servers, timeoutMs, environment}: NatsArbiterOptions) {
    this.spec = spec;
    this.#servers = servers;
    this.#timeoutMs = timeoutMs ?? TIMEOUT_MS;
    this.#environment = environment ?? process.env;
  }

  claim(claim: Claim): Promise<ClaimResult> {
    assertClaim(claim);
    const {lineageId, generation, claimant} = claim;
    const subject = `${SUBJECT}.${lineageId}.${generation}`;
    // Who carries a guest on must find the claim that it began with: the bucket is made for the first one only.
    return this.#ask('claim a generation', {makesBucket: generation === 1}, async (session) => {
      if (!session.hasBucket) throw this.#bucketless();
      let failure: unknown;
      try {
        await session.client.publish(subject, claimant, {expect: {streamName: STREAM}, timeout: REQUEST_TIMEOUT_MS});
      } catch (error) {
        failure = error;
      }
      const winner = await this.#readClaim(session, subject);
      if (winner === undefined) {
        if (failure !== undefined) throw failure;
        return AGAIN;
      }
      return winner === claimant ? {kind: 'won'} : {kind: 'lost', by: winner};
    });
  }

  current(lineageId: string): Promise<{generation: number; claimant: string} | undefined> {
    assertLineage(lineageId);
    return this.#ask('read the generation', {makesBucket: false}, async (session) => {
      if (!session.hasBucket) return undefined;
      // What the majority has accepted before this write, whoever answers has too, once it knows of this write.
      const {seq} = await session.client.publish(`${SUBJECT}.${lineageId}.read`, randomUUID(), {
        expect: {streamName: STREAM},
        timeout: REQUEST_TIMEOUT_MS,
      });
      const {state} = await this.#info(session, {subjects_filter: `${SUBJECT}.${lineageId}.*`});
      if (state.last_seq < seq) return AGAIN;
      let generation = 0;
      for (const subject of Object.keys(state.subjects ?? {})) {
        const last = subject.slice(subject.lastIndexOf('.') + 1);
        if (/^[1-9]\d{0,15}$/.test(last)) generation = Math.max(generation, Number(last));
      }
      if (generation === 0) return undefined;
      const claimant = await this.#readClaim(session, `${SUBJECT}.${lineageId}.${generation}`);
      return claimant === undefined ? AGAIN : {generation, claimant};
    });
  }

  putNonce(lineageId: string, name: string, nonce: string): Promise<void> {
    assertLineage(lineageId);
    assertNonce(name, nonce);
    return this.#ask('write a nonce', {makesBucket: false}, async ({client, hasBucket}) => {
      if (!hasBucket) throw this.#bucketless();
      await client.publish(nonceSubject(lineageId, name), nonce, {
        expect: {streamName: STREAM},
        timeout: REQUEST_TIMEOUT_MS,
      });
    });
  }

  getNonce(lineageId: string, name: string): Promise<string | undefined> {
    assertLineage(lineageId);
    assertNonce(name, '0');
    return this.#ask('read a nonce', {makesBucket: false}, async ({manager, hasBucket}) =>
      hasBucket ? await readLast(manager, nonceSubject(lineageId, name)) : undefined,
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    const session = await this.#session?.catch(() => undefined);
    await session?.connection.close().catch(() => {});
  }

  async #readClaim({manager}: Session, subject: string): Promise<string | undefined> {
    const text = await readFirst(manager, subject);
    if (text === undefined || isClaimant(text)) return text;
    throw this.#unreachable(`holds a damaged claim, ${subject}`, {
      hint: 'Find out which host is alive. Nothing but ftvm may write claims.',
    });
  }

  /** Asks until the answer decides or the time is up, each time a server on which nothing timed out before. */
  async #ask<T>(
    doing: string,
    {makesBucket}: {makesBucket: boolean},
    question: (session: Session) => Promise<T | typeof AGAIN>,
  ): Promise<T> {
    const deadlineMs = performance.now() + this.#timeoutMs;
    let failure: unknown;
    for (;;) {
      if (this.#closed) throw this.#unreachable('was closed');
      try {
        const session = await before(deadlineMs, this.#connected());
        try {
          const answer = await before(
            deadlineMs,
            this.#findBucket(session, {makesBucket}).then(() => question(session)),
          );
          if (answer !== AGAIN) return answer as T;
        } catch (error) {
          // Its server may be cut off from the others, or stopped.
          if (isTimeout(error) && !session.connection.isClosed()) session.connection.reconnect().catch(() => {});
          throw error;
        }
      } catch (error) {
        if (error instanceof FtvmError) throw error;
        const reason = finalReason(error);
        if (reason !== undefined) throw this.#unreachable(reason.what, {hint: reason.hint, cause: error});
        failure = error;
      }
      if (performance.now() + RETRY_PAUSE_MS >= deadlineMs) break;
      await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS));
    }
    throw this.#unreachable(
      `did not answer within ${this.#timeoutMs} ms (to ${doing})${failure === undefined ? '' : `: ${reasonOf(failure)}`}`,
      {
        ...(apiCode(failure) === NO_SUITABLE_PEERS
          ? {
              hint: `The bucket is made once, when ${CLUSTER_REPLICAS} JetStream nodes are up; or: nats kv add ${BUCKET} --replicas N`,
            }
          : {}),
        cause: failure,
      },
    );
  }

  /** The connection. A failed attempt is forgotten, and so is a connection that has ended. */
  async #connected(): Promise<Session> {
    const session = (this.#session ??= this.#open());
    try {
      const opened = await session;
      if (!opened.connection.isClosed()) return opened;
    } catch (error) {
      if (this.#session === session) this.#session = undefined;
      throw error;
    }
    if (this.#session === session) this.#session = undefined;
    return this.#connected();
  }

  async #open(): Promise<Session> {
    const connection = await connect({
      servers: this.#servers.map((server) => `nats://${server}`),
      name: 'ftvm',
      timeout: REQUEST_TIMEOUT_MS,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_PAUSE_MS,
      pingInterval: PING_INTERVAL_MS,
      maxPingOut: 2,
      ...credentials(this.#environment, this.spec),
    });
    try {
      const session = {
        connection,
        client: jetstream(connection, {timeout: REQUEST_TIMEOUT_MS}),
        manager: await jetstreamManager(connection, {timeout: REQUEST_TIMEOUT_MS, checkAPI: false}),
        hasBucket: false,
      };
      if (this.#closed) throw this.#unreachable('was closed');
      return session;
    } catch (error) {
      await connection.close().catch(() => {});
      throw error;
    }
  }

  async #findBucket(session: Session, {makesBucket}: {makesBucket: boolean}): Promise<void> {
    if (session.hasBucket) return;
    try {
      await this.#info(session);
      session.hasBucket = true;
      return;
    } catch (error) {
      if (apiCode(error) !== STREAM_NOT_FOUND) throw error;
    }
    if (this.#bucketCreated !== undefined) throw this.#bucketless();
    if (!makesBucket) return;
    const replicas = session.connection.info?.cluster === undefined ? 1 : CLUSTER_REPLICAS;
    try {
      await session.manager.streams.add(bucketConfig(replicas));
    } catch (error) {
      // Somebody was faster.
      if (apiCode(error) !== NAME_IN_USE) throw error;
    }
    await this.#info(session);
    session.hasBucket = true;
  }

  /** The bucket's state, from its leader. Throws when the bucket could forget claims, or has. */
  async #info({manager}: Session, options?: Partial<StreamInfoRequestOptions>): Promise<StreamInfo> {
    const info = await manager.streams.info(STREAM, options);
    const {config, created} = info;
    const wrong =
      config.storage !== StorageType.File
        ? 'is kept in memory'
        : config.max_age !== 0
          ? 'forgets keys after a time'
          : config.retention !== RetentionPolicy.Limits || config.max_msgs > 0 || config.max_bytes > 0
            ? 'forgets keys when it is full'
            : config.max_msgs_per_subject > 0
              ? 'forgets what a key was first given'
              : config.mirror !== undefined || (config.sources?.length ?? 0) > 0
                ? 'is a copy of another'
                : undefined;
    if (wrong !== undefined) {
      throw this.#unreachable(`has a bucket "${BUCKET}" that ${wrong}`, {
        hint: `Such a bucket cannot arbitrate. Remove it while no guest runs, and ftvm makes it: nats kv del ${BUCKET}`,
      });
    }
    this.#bucketCreated ??= created;
    if (created !== this.#bucketCreated) {
      throw this.#unreachable(`has another bucket "${BUCKET}" than before: the claims in the old one are lost`, {
        hint: 'Find out which host is alive, end the other, and start this one again.',
      });
    }
    return info;
  }

  #bucketless(): FtvmError {
    return this.#unreachable(`has no bucket "${BUCKET}"`, {
      hint: 'It is not the cluster that the guest began with, or the bucket was deleted: then nobody can say who has won.',
    });
  }

  #unreachable(what: string, options: {hint?: string; cause?: unknown} = {}): FtvmError {
    return unreachableArbiter(this.spec, what, options);
  }
}

/** As `nats kv add` makes it, but a key's history has no end, and nothing can be deleted. */
function bucketConfig(replicas: number): Partial<StreamConfig> & {name: string} {
  return {
    name: STREAM,
    description: 'who carries on which guest: claims of ftvm, never to be deleted',
    subjects: [`${SUBJECT}.>`],
    storage: StorageType.File,
    num_replicas: replicas,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    max_msgs_per_subject: -1,
    max_age: 0,
    deny_delete: true,
    deny_purge: true,
    allow_rollup_hdrs: false,
    // Reads go to the leader; any replica could answer a direct one.
    allow_direct: false,
  };
}

function nonceSubject(lineageId: string, name: string): string {
  return `${SUBJECT}.${lineageId}.nonce.${name}`;
}

/** What the key was first given, as the leader has it; undefined when that is nothing, which proves nothing. */
async function readFirst(manager: JetStreamManager, subject: string): Promise<string | undefined> {
  // Servers know this query since 2.9; the client's types do not.
  const query = {seq: 1, next_by_subj: subject};
  const message = await manager.streams.getMessage(STREAM, query);
  return message?.string();
}

/** The key's present value, likewise. */
async function readLast(manager: JetStreamManager, subject: string): Promise<string | undefined> {
  const message = await manager.streams.getMessage(STREAM, {last_by_subj: subject});
  return message?.string();
}

function credentials(environment: NodeJS.ProcessEnv, spec: string): NodeConnectionOptions {
  const {NATS_USER: user, NATS_PASSWORD: pass, NATS_CREDS: credsPath, NATS_CA: caFile} = environment;
  const options: NodeConnectionOptions = {};
  if (user) Object.assign(options, {user, pass: pass ?? ''});
  if (credsPath) {
    try {
      options.authenticator = credsAuthenticator(readFileSync(credsPath));
    } catch (error) {
      throw new FtvmError('usage', `--arbiter ${spec}: cannot read NATS_CREDS, ${(error as Error).message}`, {
        hint: 'NATS_CREDS names a credentials file, as nsc writes it.',
      });
    }
  }
  if (caFile) options.tls = {caFile};
  return options;
}

/** What no retry changes. */
function finalReason(error: unknown): {what: string; hint: string} | undefined {
  switch (chainOf(error).find(({name}) => name in FINAL)?.name) {
    case 'AuthorizationError':
    case 'UserAuthenticationExpiredError':
      return {
        what: 'does not let us in',
        hint: 'Give the user in the environment: NATS_USER and NATS_PASSWORD, or NATS_CREDS.',
      };
    case 'PermissionViolationError':
      return {
        what: `does not allow what is needed: ${reasonOf(error)}`,
        hint: `The user must be allowed to publish to $JS.API.> and ${SUBJECT}.>`,
      };
    default:
      break;
  }
  if (apiCode(error) === JETSTREAM_OFF_FOR_ACCOUNT) {
    return {what: 'has no JetStream for this account', hint: 'Enable JetStream for the account in the server.'};
  }
  return undefined;
}

const FINAL = {AuthorizationError: true, UserAuthenticationExpiredError: true, PermissionViolationError: true};
const JETSTREAM_OFF_FOR_ACCOUNT = 10_039;

function isTimeout(error: unknown): boolean {
  return chainOf(error).some(({name}) => name === 'TimeoutError');
}

/** JetStream's code for an error; 0 when it is none of JetStream's. */
function apiCode(error: unknown): number {
  for (const {code} of chainOf(error) as {code?: unknown}[]) if (typeof code === 'number') return code;
  return 0;
}

function reasonOf(error: unknown): string {
  const chain = chainOf(error);
  if (chain.some(({name}) => name === 'NoResponders')) return 'no JetStream server answers';
  return chain[0]?.message ?? String(error);
}

function chainOf(error: unknown): Error[] {
  const chain: Error[] = [];
  for (let at = error; at instanceof Error && chain.length < 8; at = at.cause) chain.push(at);
  return chain;
}

/** Waits no longer than until `deadlineMs`; then fails as a request does that was not answered. */
async function before<T>(deadlineMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(Object.assign(new Error('no answer'), {name: 'TimeoutError'})),
      Math.max(0, deadlineMs - performance.now()),
    );
  });
  try {
    return await Promise.race([work, timeUp]);
  } finally {
    clearTimeout(timer);
  }
}
