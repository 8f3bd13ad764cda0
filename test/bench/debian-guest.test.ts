// The programs that the benchmarks put into a Debian guest: the marks of a run are those that the program prints.

import assert from 'node:assert/strict';
import {initrdWith, readDebianPrograms, stepsOf} from '../../bench/debian-guest.ts';
import {Scenario} from '../../bench/scenario.ts';

describe('programs of the benchmarks', () => {
  const [program] = readDebianPrograms();
  const consoleOf = (checksum: string): string =>
    `OpenSBI v1\nftvm: first user process\n${program.name}: begin\n${program.name}: checksum ${checksum} seconds 1\n`;

  it('a run has all its marks when the checksum is right', () => {
    const names: string[] = [];
    new Scenario(stepsOf([program]), ({name}) => names.push(name)).show(consoleOf(program.checksum));
    assert.deepEqual(names, ['firmware', 'user', `${program.name} begins`, program.name]);
  });

  it('and has not when it is wrong', () => {
    const names: string[] = [];
    new Scenario(stepsOf([program]), ({name}) => names.push(name)).show(consoleOf('0'.repeat(16)));
    assert.ok(!names.includes(program.name));
  });

  it('an initrd gets the folders of its new files, outermost first', () => {
    const bytes = initrdWith(new Uint8Array(4), [{path: 'usr/local/bin/x', mode: 0o755, bytes: new Uint8Array(1)}]);
    const names = [
      ...Buffer.from(bytes)
        .toString('latin1')
        .matchAll(/(?:usr[\w/]*|TRAILER!!!)(?=\0)/g),
    ].map(([name]) => name);
    assert.deepEqual(names, ['usr', 'usr/local', 'usr/local/bin', 'usr/local/bin/x', 'TRAILER!!!']);
  });
});
