// How long a takeover takes, as the network sees it: from the old primary's last frame to the new one's first, at the bridge between two
// hosts in network namespaces (test/e2e/bridged-hosts.ts); and as a client sees it that counts in Redis. Needs root, and the guest
// debian-redis-server.

import {readFileSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import {parseArgs} from 'node:util';
import {BridgedHosts, GUEST_IP, GUEST_MAC} from '../test/e2e/bridged-hosts.ts';
import {Counter} from '../test/e2e/clients.ts';
import {BOOT_TIMEOUT_MS, Hosts} from '../test/e2e/hosts.ts';
import {TemporaryFolder} from '../test/support/ftvm.ts';
import {PacketCapture} from '../test/support/packet-capture.ts';
import {writeDocument} from './document.ts';
import {describeHost} from './host-description.ts';
import {formatReport, type Report, reportJson} from './report.ts';
import {type Spread, spreadOf} from './statistics.ts';
import {formatNumber, type Table} from './table.ts';

const USAGE = `node bench/takeover.ts [--kills N] [--heartbeat MS] [--takeover MS] [--json] [--write]

  --kills N       takeovers of each kind (20): after SIGKILL, and after SIGSTOP
  --heartbeat MS  as of record (200)
  --takeover MS   as of record (500)
  --json          print the report as JSON instead of a table
  --write         put the table into docs/benchmarks.md
`;
const REDIS = 'redis-server --bind 0.0.0.0 --protected-mode no --dir /tmp --save 900 1000000 --appendonly no';
const PROTOCOL_OFFSET = 12;
const ETHER_IPV4 = 0x0800;
/** The guest says something in that time. */
const LEAST_WAIT_MS = 200;
const SIGNALS = ['SIGKILL', 'SIGSTOP'] as const;

type Signal = (typeof SIGNALS)[number];

type Takeover = {
  /** From the old primary's last frame to the new one's first, by which it announces itself. */
  silentMs: number;
  /** … to the first frame that the guest sends there. */
  guestMs: number;
  /** Between two answers, as the client sees it. */
  clientMs: number;
  /** From the signal to the old primary's end: only then does the kernel break the connections of a process that it has killed. */
  goneMs: number;
  /** What the kernel has to free for that. */
  residentMb: number;
};

async function main(): Promise<void> {
  const {values} = parseArgs({
    options: {
      kills: {type: 'string', default: '20'},
      heartbeat: {type: 'string', default: '200'},
      takeover: {type: 'string', default: '500'},
      json: {type: 'boolean', default: false},
      write: {type: 'boolean', default: false},
      help: {type: 'boolean', short: 'h', default: false},
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const kills = Number(values.kills);
  const flags = ['--heartbeat', values.heartbeat, '--takeover', values.takeover];
  const host = describeHost(undefined);
  const found = await takeovers(flags, kills);
  const report: Report = {
    command: ['node bench/takeover.ts', '--kills', kills, ...flags].join(' '),
    date: new Date().toISOString().slice(0, 10),
    host,
    repetitions: kills,
    sections: [{name: 'takeover', figures: [], tables: [tableOf(found)], data: found}],
  };
  process.stdout.write(values.json ? reportJson(report) : formatReport(report));
  if (values.write) writeDocument(report);
}

/** So many of each kind, of one guest, one after another; the client's connection is the same throughout. */
async function takeovers(flags: readonly string[], kills: number): Promise<Record<Signal, Takeover[]>> {
  using wires = new BridgedHosts();
  using folder = new TemporaryFolder();
  await using hosts = new Hosts({folder, places: wires.places(folder, flags), mac: GUEST_MAC});
  using capture = new PacketCapture(wires.bridge, ['h1', 'h2'], isGuests);
  await hosts.power('debian-redis-server', `${GUEST_IP} ftvm.run="${REDIS}"`);
  await hosts.primary.waitFor(/Ready to accept connections/, {timeoutMs: BOOT_TIMEOUT_MS});
  const client = new Counter();
  client.start(await wires.connect());
  const found: Record<Signal, Takeover[]> = {SIGKILL: [], SIGSTOP: []};
  for (let kill = 1; kill <= kills; kill += 1) {
    for (const signal of SIGNALS) {
      const takeover = await measure({hosts, client, capture}, signal);
      found[signal].push(takeover);
      process.stderr.write(`${signal} ${kill}/${kills}: ${JSON.stringify(takeover)}\n`);
    }
  }
  await client.stop();
  client.close();
  return found;
}

/** One takeover, in the middle of the client's counting; then the old primary is gone. */
async function measure(
  {hosts, client, capture}: {hosts: Hosts; client: Counter; capture: PacketCapture},
  signal: Signal,
): Promise<Takeover> {
  await hosts.addBackup();
  await client.reach(client.last + 100);
  client.takeLongestGapMs();
  capture.frames.length = 0;
  const {primary} = hosts;
  do await sleep(LEAST_WAIT_MS + 500 * Math.random());
  while (!isProtected(primary.stderr));
  const residentMb = residentMbOf(primary.child.pid);
  const signalledMs = performance.now();
  const gone = primary.exit(BOOT_TIMEOUT_MS).then(() => performance.now() - signalledMs);
  primary.kill(signal);
  await hosts.promoted();
  await client.reach(client.last + 100);
  const clientMs = client.takeLongestGapMs();
  const oldPort = capture.frames[0].port;
  const last = capture.frames.findLast(({port}) => port === oldPort);
  const news = capture.frames.filter(({port}) => port !== oldPort);
  const guests = news.find(({bytes}) => bytes.readUInt16BE(PROTOCOL_OFFSET) === ETHER_IPV4);
  if (last === undefined || guests === undefined) throw new Error('the guest said nothing at one of its hosts');
  if (signal === 'SIGSTOP') primary.kill('SIGCONT');
  const rounded = (ms: number): number => Math.round(ms * 10) / 10;
  return {
    silentMs: rounded(news[0].atMs - last.atMs),
    guestMs: rounded(guests.atMs - last.atMs),
    clientMs: rounded(clientMs),
    goneMs: rounded(await gone),
    residentMb,
  };
}

/** On a host that is very busy a backup may be given up, and join again. */
function isProtected(stderr: string): boolean {
  return stderr.lastIndexOf('backup joined: ') > stderr.lastIndexOf('backup lost: ');
}

function residentMbOf(pid: number | undefined): number {
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round((Number(kibibytes) * 1024) / 1e6);
}

function isGuests(frame: Buffer): boolean {
  return frame.toString('hex', 6, 12) === GUEST_MAC.replaceAll(':', '');
}

function tableOf(found: Record<Signal, Takeover[]>): Table {
  const cell = (signal: Signal, of: keyof Takeover): string =>
    formatSpread(spreadOf(found[signal].map((takeover) => takeover[of])));
  return {
    title: `Takeover, ms: median (least–most) of ${found.SIGKILL.length} each`,
    columns: [
      'the primary',
      'last frame to first frame',
      "to the guest's own first frame",
      "the client's gap",
      'the killed process is gone',
    ],
    rows: SIGNALS.map((signal) => [
      signal === 'SIGKILL' ? 'is killed (SIGKILL)' : 'falls silent (SIGSTOP)',
      cell(signal, 'silentMs'),
      cell(signal, 'guestMs'),
      cell(signal, 'clientMs'),
      signal === 'SIGKILL' ? cell(signal, 'goneMs') : '',
    ]),
  };
}

function formatSpread({median, min, max}: Spread): string {
  return `${formatNumber(median)} (${formatNumber(min)}–${formatNumber(max)})`;
}

await main();
