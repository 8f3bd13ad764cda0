// How long a takeover takes, as the network sees it: from the old primary's last frame to the new one's first, at the bridge between two
// hosts in network namespaces (test/e2e/bridged-hosts.ts); and as a client sees it that counts in Redis. Needs root.

import {getPriority} from 'node:os';
import {parseArgs} from 'node:util';
import {BridgedHosts, GUEST_IP, GUEST_MAC} from '../test/e2e/bridged-hosts.ts';
import {Counter} from '../test/e2e/clients.ts';
import {BOOT_TIMEOUT_MS, Hosts} from '../test/e2e/hosts.ts';
import {TemporaryFolder} from '../test/support/ftvm.ts';
import {PacketCapture} from '../test/support/packet-capture.ts';
import {describeHost, formatHost} from './host-description.ts';
import {type Spread, spreadOf} from './statistics.ts';
import {formatNumber, formatText, type Table} from './table.ts';

const USAGE = `node bench/takeover.ts [--kills N] [--heartbeat MS] [--takeover MS] [--json]

  --kills N       takeovers of each kind (10): after SIGKILL, and after SIGSTOP
  --heartbeat MS  as of record (200)
  --takeover MS   as of record (500)
  --json          print the figures as JSON

Where other things run as well: nice -n -20 node bench/takeover.ts
`;
const REDIS = 'redis-server --bind 0.0.0.0 --protected-mode no --dir /tmp --save 900 1000000 --appendonly no';
const PROTOCOL_OFFSET = 12;
const ETHER_IPV4 = 0x0800;
/** The guest says something in that time. */
const LEAST_WAIT_MS = 200;
const SIGNALS = ['SIGKILL', 'SIGSTOP'] as const;

type Takeover = {
  /** From the old primary's last frame to the new one's first, by which it announces itself. */
  silentMs: number;
  /** … to the first frame that the guest sends there. */
  guestMs: number;
  /** Between two answers, as the client sees it. */
  clientMs: number;
};

async function main(): Promise<void> {
  const {values} = parseArgs({
    options: {
      kills: {type: 'string', default: '10'},
      heartbeat: {type: 'string', default: '200'},
      takeover: {type: 'string', default: '500'},
      json: {type: 'boolean', default: false},
      help: {type: 'boolean', short: 'h', default: false},
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const host = describeHost(undefined);
  using wires = new BridgedHosts();
  using folder = new TemporaryFolder();
  const places = wires.places(folder, ['--heartbeat', values.heartbeat, '--takeover', values.takeover]);
  await using hosts = new Hosts({folder, places, mac: GUEST_MAC});
  using capture = new PacketCapture(wires.bridge, ['h1', 'h2'], isGuests);
  await hosts.power('debian-redis-server', `${GUEST_IP} ftvm.run="${REDIS}"`);
  await hosts.primary.waitFor(/Ready to accept connections/, {timeoutMs: BOOT_TIMEOUT_MS});
  const client = new Counter();
  client.start(await wires.connect());
  const found: Record<string, Takeover[]> = {};
  for (const signal of SIGNALS) {
    found[signal] = [];
    for (let kill = 1; kill <= Number(values.kills); kill += 1) {
      const takeover = await measure({hosts, client, capture}, signal);
      found[signal].push(takeover);
      process.stderr.write(`${signal} ${kill}/${values.kills}: ${JSON.stringify(takeover)}\n`);
    }
  }
  await client.stop();
  client.close();
  const figures = SIGNALS.map((signal) => ({signal, ...spreads(found[signal])}));
  const flags = {heartbeatMs: Number(values.heartbeat), takeoverMs: Number(values.takeover), nice: getPriority()};
  if (values.json) process.stdout.write(`${JSON.stringify({host, ...flags, figures}, undefined, 2)}\n`);
  else process.stdout.write(`${formatHost(host)}\n\n${formatText(tableOf(figures))}`);
}

/** One takeover, in the middle of the client's counting; then the old primary is gone. */
async function measure(
  {hosts, client, capture}: {hosts: Hosts; client: Counter; capture: PacketCapture},
  signal: (typeof SIGNALS)[number],
): Promise<Takeover> {
  await hosts.addBackup();
  await client.reach(client.last + 100);
  client.takeLongestGapMs();
  capture.frames.length = 0;
  await new Promise((resolve) => setTimeout(resolve, LEAST_WAIT_MS + 500 * Math.random()));
  const {primary} = hosts;
  primary.kill(signal);
  await hosts.promoted();
  await client.reach(client.last + 100);
  const oldPort = capture.frames[0].port;
  const last = capture.frames.findLast(({port}) => port === oldPort);
  const news = capture.frames.filter(({port}) => port !== oldPort);
  const guests = news.find(({bytes}) => bytes.readUInt16BE(PROTOCOL_OFFSET) === ETHER_IPV4);
  if (last === undefined || guests === undefined) throw new Error('the guest said nothing at one of its hosts');
  if (signal === 'SIGSTOP') primary.kill('SIGCONT');
  await primary.exit();
  return {
    silentMs: news[0].atMs - last.atMs,
    guestMs: guests.atMs - last.atMs,
    clientMs: client.takeLongestGapMs(),
  };
}

function isGuests(frame: Buffer): boolean {
  return frame.toString('hex', 6, 12) === GUEST_MAC.replaceAll(':', '');
}

function spreads(takeovers: readonly Takeover[]): Record<keyof Takeover, Spread> {
  return {
    silentMs: spreadOf(takeovers.map(({silentMs}) => silentMs)),
    guestMs: spreadOf(takeovers.map(({guestMs}) => guestMs)),
    clientMs: spreadOf(takeovers.map(({clientMs}) => clientMs)),
  };
}

function tableOf(figures: readonly ({signal: string} & Record<keyof Takeover, Spread>)[]): Table {
  const cell = ({median, min, max}: Spread): string =>
    `${formatNumber(median)} (${formatNumber(min)}–${formatNumber(max)})`;
  return {
    title: `Takeover, ms: median (least–most) of ${figures[0].silentMs.count} each`,
    columns: ['primary', 'last to first frame', "last to the guest's first frame", "the client's gap"],
    rows: figures.map(({signal, silentMs, guestMs, clientMs}) => [
      signal,
      cell(silentMs),
      cell(guestMs),
      cell(clientMs),
    ]),
  };
}

await main();
