// What can go wrong in a simulated life, and how it passes.

import type {ControlRequest} from '../../src/host/control-socket.ts';
import type {Random} from './random.ts';
import {CRASH_POINTS} from './simulated-disk.ts';
import type {Host, SimulatedNetwork} from './simulated-world.ts';
import type {SimulatedProcess, VirtualTime} from './virtual-time.ts';

export type Fault =
  | 'none'
  /** Killed at the k-th append, output or message. */
  | 'crashAtPoint'
  | 'crashAndRestart'
  /** SIGTERM: a primary hands over to its backup. */
  | 'handOver'
  /** What it was about to show has been acknowledged; then it hears of nothing. */
  | 'pauseThenCut'
  | 'cutOneWay'
  /** What the channel carries is held back, one way or both; datagrams get through: the guest must go on. */
  | 'channelHeld'
  /** A person pauses the guest, until the faults are over. */
  | 'guestPaused'
  /** The channel alone is left. */
  | 'datagramsBlocked'
  /** Old heartbeats come again and again, also when their sender is long dead. */
  | 'datagramsReplayed'
  | 'slow'
  | 'slowArbiter'
  | 'crash'
  | 'silentCrash'
  | 'pause'
  | 'cut'
  | 'arbiterAway'
  | 'lateAnswers'
  | 'cutAndArbiterAway'
  /** Nobody reaches anybody: a primary that had a backup must wait. */
  | 'nobodyReached';

export const ALL_FAULTS: readonly Fault[] = [
  'crash',
  'silentCrash',
  'crashAtPoint',
  'crashAndRestart',
  'handOver',
  'pause',
  'pauseThenCut',
  'cut',
  'cutOneWay',
  'channelHeld',
  'guestPaused',
  'datagramsBlocked',
  'datagramsReplayed',
  'slow',
  'slowArbiter',
  'arbiterAway',
  'lateAnswers',
  'cutAndArbiterAway',
  'nobodyReached',
];

/** Messages on their way arrive before a host that was paused is cut off. */
const LEAST_CUT_MS = 4;

export type FaultContext = {
  network: SimulatedNetwork;
  time: VirtualTime;
  random: Random;
  /** SIGTERM. */
  stop(process: SimulatedProcess): void;
  /** Says it to every host's control socket. */
  ask(request: ControlRequest): void;
  /** Starts a backup on the host, which has lost its process. */
  restart(): void;
};

export function inject(fault: Fault, host: Host, context: FaultContext): void {
  const {network, time, random, stop, restart, ask} = context;
  const hosts = [...network.hosts.values()];
  const others = hosts.filter((other) => other !== host);
  switch (fault) {
    case 'none':
      return;
    case 'crash':
    case 'silentCrash':
      network.kill(host, {silently: fault === 'silentCrash'});
      return;
    case 'crashAtPoint':
      host.crash = {point: random.pick(CRASH_POINTS), left: 1 + random.below(40)};
      return;
    case 'crashAndRestart':
      network.kill(host, {silently: random.unit() < 0.5});
      restart();
      return;
    case 'handOver':
      stop(host.process);
      return;
    case 'pause':
      time.pause(host.process);
      return;
    case 'pauseThenCut':
      time.pause(host.process);
      time.after(LEAST_CUT_MS + random.unit() * LEAST_CUT_MS, undefined, () => {
        for (const other of others) network.cut(host.name, other.name);
      });
      return;
    case 'cut':
      for (const other of random.unit() < 0.5 ? others : [random.pick(others)]) network.cut(host.name, other.name);
      return;
    case 'cutOneWay': {
      const [from, to] = random.unit() < 0.5 ? [host, random.pick(others)] : [random.pick(others), host];
      network.cut(from.name, to.name, {oneWay: true});
      return;
    }
    case 'channelHeld': {
      const [a, b] = random.unit() < 0.5 ? [host, random.pick(others)] : [random.pick(others), host];
      network.cut(a.name, b.name, {channel: true, oneWay: random.unit() < 0.5});
      return;
    }
    case 'guestPaused':
      ask({command: 'pause', quiesce: random.unit() < 0.5});
      return;
    case 'datagramsBlocked':
      network.datagrams.blocked = true;
      return;
    case 'datagramsReplayed':
      network.datagrams.replay();
      return;
    case 'slow':
      network.slownessMs = 20 + random.below(150);
      return;
    case 'slowArbiter':
      network.arbiter.slownessMs = 20 + random.below(150);
      if (random.unit() < 0.5) network.kill(host, {silently: random.unit() < 0.5});
      return;
    case 'arbiterAway':
      for (const other of hosts) network.arbiter.unreachableFor.add(other.name);
      network.kill(host, {silently: random.unit() < 0.5});
      return;
    case 'lateAnswers':
      network.arbiter.lateAnswers = 0.5;
      network.kill(host, {silently: random.unit() < 0.5});
      return;
    case 'cutAndArbiterAway':
      for (const other of hosts) network.arbiter.unreachableFor.add(other.name);
      for (const other of others) network.cut(host.name, other.name);
      return;
    case 'nobodyReached':
      for (const x of hosts) {
        network.arbiter.unreachableFor.add(x.name);
        for (const y of hosts) if (x !== y) network.cut(x.name, y.name);
      }
      return;
  }
}

/** Everything that passes by itself is over. The dead stay dead. */
export function heal(network: SimulatedNetwork, time: VirtualTime): void {
  network.cuts.clear();
  network.channelCuts.clear();
  network.datagrams.blocked = false;
  network.slownessMs = 0;
  network.arbiter.unreachableFor.clear();
  network.arbiter.lateAnswers = 0;
  network.arbiter.slownessMs = 0;
  for (const host of network.hosts.values()) {
    host.crash = undefined;
    time.resume(host.process);
  }
}
