// Which threads of a process give way: V8's, and one that says so; never the main thread, nor those that read and write files. By the
// kernel's account of another process, as nothing makes a thread's priority higher again.

import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {getPriority} from 'node:os';
import {skipUnless} from '../support/skip.ts';

const MODULE = new URL('../../src/host/background-threads.ts', import.meta.url).href;

/** Lowers what `threads` says, and prints `name niceness` of each thread, in order of their ids. */
const program = (threads: string): string => `
  const {readFileSync, readdirSync} = require('node:fs');
  const {Worker} = require('node:worker_threads');
  const report = () => {
    for (const id of readdirSync('/proc/self/task')) {
      const [, name, rest] = /^\\d+ \\((.*)\\) (.*)/.exec(readFileSync('/proc/self/task/' + id + '/stat', 'utf8'));
      console.log(name, rest.split(' ')[16]);
    }
    process.exit();
  };
  import('${MODULE}').then(async ({lowerV8Threads}) => {
    // So that there are threads that read files.
    await require('node:fs/promises').readFile('/proc/self/comm');
    ${threads}
  });
`;

describe('threads that compile', () => {
  before(function () {
    skipUnless(this, process.platform === 'linux', 'only Linux has a niceness for each thread');
  });

  it('give way where they are V8’s', () => {
    const nicenesses = run(program('lowerV8Threads(); report();'));
    const compilers = nicenesses.filter(({name}) => name === 'V8Worker');
    assert.ok(compilers.length > 0);
    for (const {name, niceness} of nicenesses) assert.equal(niceness, name === 'V8Worker' ? 10 : getPriority(), name);
  });

  it('give way when they ask for it themselves', () => {
    const worker = `import('${MODULE}').then(({lowerThisThread}) => {
      lowerThisThread();
      require('node:worker_threads').parentPort.postMessage('lowered');
      setInterval(() => {}, 1000);
    })`;
    const nicenesses = run(program(`new Worker(${JSON.stringify(worker)}, {eval: true}).once('message', report);`));
    assert.deepEqual(
      nicenesses.filter(({niceness}) => niceness !== getPriority()).map(({niceness}) => niceness),
      [10],
    );
    assert.equal(nicenesses[0]?.niceness, getPriority());
  });
});

function run(script: string): {name: string; niceness: number}[] {
  const {status, stdout, stderr} = spawnSync(process.execPath, ['-e', script], {encoding: 'utf8'});
  assert.equal(status, 0, stderr);
  return stdout
    .trim()
    .split('\n')
    .map((line) => {
      const [, name = '', niceness] = /^(.*) (-?\d+)$/.exec(line) ?? [];
      return {name, niceness: Number(niceness)};
    });
}
