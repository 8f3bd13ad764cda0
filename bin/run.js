#!/usr/bin/env node
// ftvm's entry point. It may be started by any Node, also a much older one: therefore plain JavaScript without static
// imports of our own. It looks for a Node that is new enough (this one, or the one that `npm ci` pins in node_modules),
// prepares V8, and only then imports the program (sources.js).

import {spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {constants} from 'node:os';
import {isatty} from 'node:tty';
import {fileURLToPath} from 'node:url';

/** The first Node whose V8 compiles a small wasm module in microseconds, and that strips types without a warning. */
const OLDEST_NODE_MAJOR = 24;

/** EXIT_CODES.unsupportedHost and EXIT_CODES.internal of src/errors.ts, which an old Node cannot read. */
const EXIT_UNSUPPORTED_HOST = 114;
const EXIT_INTERNAL = 125;

const root = fileURLToPath(new URL('..', import.meta.url));
const pinnedNode = `${root}node_modules/.bin/node`;

if (Number.parseInt(process.versions.node, 10) >= OLDEST_NODE_MAJOR) {
  await start();
} else if (existsSync(pinnedNode) && process.env.FTVM_REEXECUTED === undefined) {
  reexecute();
} else {
  const lines = [
    `error: ftvm needs Node ${OLDEST_NODE_MAJOR} or newer; this is Node ${process.versions.node} (${process.execPath})`,
    existsSync(`${root}node_modules/node`)
      ? 'hint: the pinned Node is not unpacked (npm ran with --ignore-scripts?): run `npm rebuild node` in the checkout'
      : `hint: install Node ${OLDEST_NODE_MAJOR}, or run \`npm ci\` in a checkout of ftvm, which brings its own`,
  ];
  process.stderr.write(`${lines.join('\n')}\n`);
  process.exitCode = EXIT_UNSUPPORTED_HOST;
}

async function start() {
  const {prepareV8} = await import('./prepare-v8.js');
  prepareV8();
  dieWithParent();
  const {programFolder} = await import('./sources.js');
  const folder = programFolder(root);
  const {main} = await import(folder === 'src' ? '../src/cli/main.ts' : '../dist/cli/main.cjs');
  await main({argv: process.argv.slice(2), root, commands: `${root}${folder}/commands`});
}

// The old Node cannot replace itself by the new one, so it stays as a parent that hands on signals and the exit code. The
// channel between the two is there for one thing: when the parent is killed with SIGKILL, the child must die as well.
function reexecute() {
  const child = spawn(pinnedNode, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: {...process.env, FTVM_REEXECUTED: '1'},
  });
  // Ctrl-C on a terminal reaches the whole process group: handing it on would deliver it twice.
  process.on('SIGINT', () => isatty(0) || child.kill('SIGINT'));
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`error: cannot start ${pinnedNode}: ${error.message}\nhint: run \`npm rebuild node\`\n`);
    process.exit(EXIT_UNSUPPORTED_HOST);
  });
  child.on('exit', (code, signal) => {
    process.exit(code ?? (signal ? 128 + constants.signals[signal] : EXIT_INTERNAL));
  });
}

function dieWithParent() {
  if (process.env.FTVM_REEXECUTED === undefined) return;
  delete process.env.FTVM_REEXECUTED;
  if (!process.channel) return;
  process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  process.channel.unref();
}
