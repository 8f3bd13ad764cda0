// One attempt to follow a primary over a link: connect, greet, build the machine, take over the primary's state if it is far along,
// replay, stand ready.

import type {MachineInterface} from '../emulator/machine-interface.ts';
import {assert, FtvmError} from '../errors.ts';
import type {Endpoint} from '../host/endpoint.ts';
import type {ArtefactPaths} from '../session/artefacts.ts';
import type {StateDigest} from '../session/digests.ts';
import {hex} from '../session/divergence.ts';
import {Follower, type FollowerOptions} from '../session/follower.ts';
import type {LogStore} from '../session/log-sink.ts';
import {applyBatch, applyTable} from '../session/state-transfer.ts';
import type {Arbiter} from './arbiter.ts';
import {type ChannelEnd, ChannelFeed} from './channel-feed.ts';
import {HeartbeatSocket} from './heartbeat.ts';
import type {Link} from './link.ts';
import type {Welcome} from './messages.ts';
import {openOwnLog} from './own-log.ts';
import type {World} from './world.ts';

/** A guest that has run less is replayed from power-on, which is quicker than sending its state. */
const REPLAY_LIMIT_STEPS = 50_000_000n;
/** Pause between two attempts to reach the arbiter. */
const RETRY_MS = 250;

export type FollowChannelOptions = Omit<FollowerOptions, 'feed' | 'join' | 'logPath' | 'build'> & {
  paths: ArtefactPaths;
  logPath: string;
  overwrite: boolean;
  name: string;
  eligible: boolean;
  /** How long a primary may be silent, until it tells. */
  takeoverMs: number;
  /** Replay from power-on however far the primary is. */
  fromStart: boolean;
  onEnd(end: ChannelEnd): void;
};

export type FollowedChannel = {
  feed: ChannelFeed;
  file: LogStore;
  follower: Follower;
  welcome: Welcome;
  /** The log's arbiter, if it names one. */
  arbiter: Arbiter | undefined;
};

/** Resolves when the follower can replay. Throws FtvmError `network` when there is no primary, `peerVanished` when it went away. */
export async function followChannel(
  world: World,
  endpoint: Endpoint,
  options: FollowChannelOptions,
): Promise<FollowedChannel> {
  const link = await world.connect(endpoint);
  const heartbeats = await openHeartbeats(world, link);
  let file: LogStore | undefined;
  let machine: MachineInterface | undefined;
  const feed = new ChannelFeed(link, {
    openLog: async (welcome) => {
      const {logPath: path, overwrite} = options;
      file = await openOwnLog(world, {path, overwrite, welcome, peer: link.peer});
      return file;
    },
    name: options.name,
    eligible: options.eligible,
    takeoverMs: options.takeoverMs,
    position: () => machine?.position ?? 0n,
    nowMs: () => world.nowMs(),
    heartbeats,
    onEnd: options.onEnd,
  });
  try {
    const welcome = await feed.welcome;
    assert(file !== undefined, 'a greeting is accepted once the log is open');
    const far = BigInt(welcome.position) > REPLAY_LIMIT_STEPS && !options.fromStart;
    const follower = await Follower.open({
      ...options,
      feed,
      build: (header) => world.buildMachine(header, {path: options.logPath, paths: options.paths}),
      join: async (built, stateDigest) => {
        machine = built;
        if (!far) return undefined;
        const ordinal = await receiveState(feed, built, stateDigest);
        world.returnMemory();
        return ordinal;
      },
    });
    const spec = follower.header.arbiter;
    const arbiter = spec === null ? undefined : await world.openArbiter(spec);
    if (options.eligible) void proveReady(feed, welcome, arbiter);
    return {feed, file, follower, welcome, arbiter};
  } catch (error) {
    feed.close('failed', error instanceof Error ? error.message : undefined);
    await file?.close();
    throw error;
  }
}

/** Reads the primary's nonce in the arbiter's store. While that cannot be reached the follower follows, and is no backup. */
async function proveReady(feed: ChannelFeed, welcome: Welcome, arbiter: Arbiter | undefined): Promise<void> {
  while (feed.open) {
    try {
      const nonce = arbiter === undefined ? '' : await arbiter.getNonce(welcome.lineageId, welcome.nonceName);
      feed.ready(nonce ?? '');
      return;
    } catch (error) {
      if (!(error instanceof FtvmError) || error.code !== 'arbiterUnreachable') {
        feed.fail(error);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

async function openHeartbeats(world: World, link: Link): Promise<HeartbeatSocket> {
  try {
    return await HeartbeatSocket.open(world, {host: link.hosts.local, port: 0});
  } catch (error) {
    link.end();
    throw error;
  }
}

/** Takes the primary's state. Throws FtvmError `divergence` when it is not what the primary has. */
async function receiveState(feed: ChannelFeed, machine: MachineInterface, stateDigest: StateDigest): Promise<bigint> {
  feed.requestState();
  for (;;) {
    const part = await feed.nextStatePart();
    if (part.kind === 'pages') {
      applyBatch(machine, part.bytes);
      continue;
    }
    applyTable(machine, part.table);
    const digest = hex(stateDigest.compute());
    if (digest !== part.end.digest || String(machine.position) !== part.end.position) {
      throw new FtvmError(
        'divergence',
        `the state that was received has digest ${digest}, the primary's has ${part.end.digest}`,
        {
          hint: 'This is a bug of ftvm.',
          details: {expected: part.end.digest, actual: digest, position: machine.position},
        },
      );
    }
    return BigInt(part.end.ordinal);
  }
}
