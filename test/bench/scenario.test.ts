// How a scenario follows a guest's console, and how the time that QEMU used is read from its shell.

import assert from 'node:assert/strict';
import {between, markOf, type Run} from '../../bench/job.ts';
import {childSeconds} from '../../bench/qemu-run.ts';
import {Scenario} from '../../bench/scenario.ts';

describe('a scenario of the benchmarks', () => {
  it('finds its texts one behind the other, however the console cuts them', () => {
    const done: string[] = [];
    const steps = [
      {name: 'first', waitFor: 'ready'},
      {name: 'second', waitFor: 'ready'},
    ];
    const scenario = new Scenario(steps, ({name}) => done.push(name));
    scenario.show('not rea');
    assert.deepEqual(done, []);
    scenario.show('dy, ');
    assert.deepEqual(done, ['first']);
    assert.ok(!scenario.finished);
    scenario.show('now ready');
    assert.deepEqual(done, ['first', 'second']);
    assert.ok(scenario.finished);
  });

  it('a sleep begins when the step before it is over', async () => {
    const steps = [
      {name: 'up', waitFor: 'up'},
      {name: 'slept', sleepMs: 1},
    ];
    const done = await new Promise<string[]>((resolve) => {
      const names: string[] = [];
      const scenario = new Scenario(steps, ({name}) => {
        names.push(name);
        if (scenario.finished) resolve(names);
      });
      scenario.show('up');
      assert.deepEqual(names, ['up']);
    });
    assert.deepEqual(done, ['up', 'slept']);
  });
});

describe('marks of a run', () => {
  const run: Run = {marks: [{name: 'shell', wallS: 5, cpuS: 4}], wallS: 9, cpuS: 6, console: 'the last words'};

  it('are measured from each other, from the start and to the end', () => {
    assert.deepEqual(between(run, 'start', 'shell'), {wallS: 5, cpuS: 4});
    assert.deepEqual(between(run, 'shell', 'end'), {wallS: 4, cpuS: 2});
  });

  it('one that is missing shows what the console said', () => {
    assert.throws(() => markOf(run, 'prompt'), /no mark prompt; .*\n?the last words/);
  });
});

describe("the shell's `times`", () => {
  it('its second line is of the children', () => {
    assert.equal(childSeconds('warning\n0m0.010000s 0m0.020000s\n1m2.500000s 0m3.250000s\n'), 65.75);
  });

  it('is not there when the shell was killed', () => {
    assert.equal(childSeconds(''), undefined);
    assert.equal(childSeconds('0m0.010000s 0m0.020000s\n'), undefined);
  });
});
