// TCP into and out of a guest, through `ftvm switch` and passt, alone and with a backup attached: how fast, and how much log. What netperf
// measured in the paper (table 2) stands beside it, on its hardware. In one run on one guest, in turns, as other things may run as well.

import {readFileSync, statSync, writeFileSync} from 'node:fs';
import {createConnection, createServer} from 'node:net';
import {parseArgs} from 'node:util';
import {BOOT_TIMEOUT_MS, Hosts} from '../test/e2e/hosts.ts';
import {FtvmProcess, TemporaryFolder} from '../test/support/ftvm.ts';
import {DOCUMENT, replaceSection} from './document.ts';
import {describeHost, formatHost} from './host-description.ts';
import {spreadOf} from './statistics.ts';
import {formatMarkdown, formatNumber, formatText, type Table} from './table.ts';

const USAGE = `node bench/network.ts [--bytes N] [--repeat N] [--json] [--write]

  --bytes N   bytes of one transfer (20000000)
  --repeat N  transfers of each kind (3)
  --json      print the figures as JSON
  --write     put the table into docs/benchmarks.md
`;
const GUEST_ADDRESS = '10.0.2.15';
/** Until the guest's listener is there again, and has said what it took. */
const SETTLE_MS = 2000;
const DIRECTIONS = {transmit: 5001, receive: 5002} as const;
type Direction = keyof typeof DIRECTIONS;
type Transfer = {megabitsPerS: number; logMegabitsPerS: number};
type Found = Record<Direction, {alone: Transfer[]; withBackup: Transfer[]}>;

/** FT ÷ without, and log Mbit/s, at 1 and 10 Gbit/s between the hosts. */
const PAPER: Readonly<Record<Direction, string>> = {
  transmit: '0.91 / 0.99; log 42 / 60',
  receive: '0.64 / 0.91; log 730 / 990',
};

async function main(): Promise<void> {
  const {values} = parseArgs({
    options: {
      bytes: {type: 'string', default: '20000000'},
      repeat: {type: 'string', default: '3'},
      json: {type: 'boolean', default: false},
      write: {type: 'boolean', default: false},
      help: {type: 'boolean', short: 'h', default: false},
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const about = {
    date: new Date().toISOString().slice(0, 10),
    command: ['node bench/network.ts', ...process.argv.slice(2)].join(' '),
    host: describeHost(undefined),
  };
  const found = await measure({bytes: Number(values.bytes), repeat: Number(values.repeat)});
  const table = tableOf(found);
  if (values.write) {
    const body = `${about.date}, \`${about.command}\`, on ${formatHost(about.host)}.\n\n${formatMarkdown(table)}`;
    writeFileSync(DOCUMENT, replaceSection(readFileSync(DOCUMENT, 'utf8'), {name: 'network', body}));
  }
  if (values.json) process.stdout.write(`${JSON.stringify({...about, found}, undefined, 2)}\n`);
  else process.stdout.write(`${formatHost(about.host)}\n\n${formatText(table)}`);
}

async function measure(how: {bytes: number; repeat: number}): Promise<Found> {
  using folder = new TemporaryFolder();
  const path = folder.join('lan.sock');
  const ports = {transmit: await freePort(), receive: await freePort()};
  const forwards = (['transmit', 'receive'] as const).flatMap((direction) => [
    '--forward',
    `127.0.0.1:${ports[direction]}:${GUEST_ADDRESS}:${DIRECTIONS[direction]}`,
  ]);
  await using lan = new FtvmProcess(['switch', '--port', `unix:${path}`, '--uplink', 'passt', ...forwards]);
  await lan.waitFor(/plug in by/, {stream: 'stderr'});
  await using hosts = new Hosts({folder, places: [{net: `stream:unix:${path}`, listen: '127.0.0.1:0'}]});
  const serve = [
    `head -c ${how.bytes} /dev/zero > /tmp/zeros`,
    `(while true; do nc -l -p ${DIRECTIONS.transmit} < /tmp/zeros; done) &`,
    `echo ready; while true; do echo took $(nc -l -p ${DIRECTIONS.receive} | wc -c); done`,
  ].join('; ');
  await hosts.power('debian', `ip=${GUEST_ADDRESS}::10.0.2.2:255.255.255.0 ftvm.run="${serve.replace('&;', '&')}"`);
  await hosts.primary.waitFor(/^ready/m, {timeoutMs: BOOT_TIMEOUT_MS});
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const found: Found = {transmit: {alone: [], withBackup: []}, receive: {alone: [], withBackup: []}};
  let taken = 0;
  for (const column of ['alone', 'withBackup'] as const) {
    if (column === 'withBackup') await hosts.addBackup();
    for (let n = 0; n < how.repeat; n += 1) {
      for (const direction of ['transmit', 'receive'] as const) {
        const {logPath} = hosts;
        const transfer = await timed(logPath, how.bytes, () => carry(direction, {port: ports[direction], ...how}));
        await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
        taken += direction === 'receive' ? 1 : 0;
        const {length} = [...hosts.primary.stdout.matchAll(new RegExp(`^took ${how.bytes}\\r?$`, 'gm'))];
        if (length !== taken) throw new Error(`the guest took ${length} of ${taken} transfers`);
        found[direction][column].push(transfer);
        process.stderr.write(`${direction} ${column}: ${formatNumber(transfer.megabitsPerS)} Mbit/s\n`);
      }
    }
  }
  return found;
}

async function timed(logPath: string, bytes: number, transfer: () => Promise<void>): Promise<Transfer> {
  const [startMs, startBytes] = [performance.now(), statSync(logPath).size];
  await transfer();
  const ms = performance.now() - startMs;
  const perS = (count: number): number => (count * 8) / 1000 / ms;
  return {megabitsPerS: perS(bytes), logMegabitsPerS: perS(statSync(logPath).size - startBytes)};
}

/** One transfer, to the moment when its last byte was read: by us, or by the guest, whose listener then closes. */
async function carry(direction: Direction, {port, bytes}: {port: number; bytes: number}): Promise<void> {
  const socket = createConnection({host: '127.0.0.1', port});
  let receivedBytes = 0;
  socket.on('data', (chunk: Buffer) => {
    receivedBytes += chunk.length;
    if (receivedBytes === bytes) socket.destroy();
  });
  if (direction === 'receive') socket.end(new Uint8Array(bytes));
  // Debian 12's passt completes a connection from outside only with the client's first byte.
  else socket.write('\n');
  await new Promise<void>((resolve, reject) => socket.once('close', resolve).once('error', reject));
  if (direction === 'transmit' && receivedBytes !== bytes) throw new Error(`${receivedBytes} of ${bytes} bytes came`);
}

function tableOf(found: Found): Table {
  const median = (transfers: readonly Transfer[], of: keyof Transfer): number =>
    spreadOf(transfers.map((transfer) => transfer[of])).median;
  return {
    title: `TCP of a guest through ftvm switch and passt, Mbit/s: medians of ${found.transmit.alone.length}`,
    columns: [
      '',
      'alone',
      'with a backup',
      'ratio',
      'log alone',
      'log with a backup',
      'paper, netperf: ratio; log Mbit/s',
    ],
    rows: (['transmit', 'receive'] as const).map((direction) => {
      const {alone, withBackup} = found[direction];
      const [before, after] = [median(alone, 'megabitsPerS'), median(withBackup, 'megabitsPerS')];
      const logs = [median(alone, 'logMegabitsPerS'), median(withBackup, 'logMegabitsPerS')];
      return [direction, ...[before, after, after / before, ...logs].map(formatNumber), PAPER[direction]];
    }),
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const {port} = server.address() as {port: number};
  await new Promise((resolve) => server.close(resolve));
  return port;
}

await main();
