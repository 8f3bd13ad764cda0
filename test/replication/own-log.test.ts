// A follower's log replaces what is in its place, unless that is a later generation of the same guest than the primary's: a host that
// had taken over, died and came back would wipe out what only it knew, by following a primary that does not know yet that it has lost.

import assert from 'node:assert/strict';
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {LogFileReader, LogFileWriter} from '../../src/host/log-file.ts';
import type {LogRecord} from '../../src/logformat/record.ts';
import type {Welcome} from '../../src/replication/messages.ts';
import {openOwnLog} from '../../src/replication/own-log.ts';
import type {World} from '../../src/replication/world.ts';
import {writeRecords} from '../diff-state/edited-log.ts';
import {toyHeader} from '../simulation/toy-header.ts';
import {TemporaryFolder} from '../support/ftvm.ts';

const HEADER = toyHeader(1);
const WORLD: Pick<World, 'createLog' | 'readLog'> = {
  createLog: (path, options) => LogFileWriter.create(path, options),
  readLog: (path, options) => LogFileReader.open(path, options),
};

describe('the log of a follower', () => {
  let folder: TemporaryFolder;
  let path: string;

  beforeEach(() => {
    folder = new TemporaryFolder();
    path = folder.join('own.ftlog');
  });

  afterEach(() => folder[Symbol.dispose]());

  it('is created where nothing was', async () => {
    await open({generation: 1});
    assert.ok(existsSync(path));
  });

  it('replaces what the primary has as well', async () => {
    writeGenerations(2);
    await open({generation: 2});
    assert.equal(readFileSync(path).length, 0);
  });

  it('replaces the log of another guest, and what is no log', async () => {
    writeGenerations(2);
    await open({generation: 1, lineageId: 'ab'.repeat(16)});
    assert.equal(readFileSync(path).length, 0);
    writeFileSync(path, 'no log');
    await open({generation: 1});
    assert.equal(readFileSync(path).length, 0);
  });

  it('does not replace a later generation', async () => {
    writeGenerations(3);
    const before = readFileSync(path);
    await assert.rejects(open({generation: 2}), {
      code: 'lostArbitration',
      message: `the primary at tcp://a:1 is of generation 2, and ${path} holds generation 3 of its guest`,
    });
    assert.deepEqual(readFileSync(path), before);
  });

  async function open(welcome: Partial<Welcome>): Promise<void> {
    const lineageId = Buffer.from(HEADER.lineageId).toString('hex');
    const options = {path, overwrite: true, welcome: {lineageId, ...welcome} as Welcome, peer: 'tcp://a:1'};
    await (await openOwnLog(WORLD, options)).close();
  }

  function writeGenerations(last: number): void {
    const records: LogRecord[] = [{kind: 'header', position: 0n, ...HEADER}];
    for (let generation = 2; generation <= last; generation += 1)
      records.push({kind: 'takeover', position: BigInt(generation), generation, by: 'other', releasedThrough: 0n});
    writeRecords(path, records);
  }
});
