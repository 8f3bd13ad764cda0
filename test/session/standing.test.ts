// What a follower learns from the log of its own standing. A backup that the primary has removed, by winning a generation again, and that
// follows again under the same name, is no backup: with the next loss of its primary it must not go live.

import assert from 'node:assert/strict';
import type {LogRecord} from '../../src/logformat/record.ts';
import {FileFeed} from '../../src/session/file-feed.ts';
import {Follower} from '../../src/session/follower.ts';
import {writeRecords} from '../diff-state/edited-log.ts';
import {toyHeader} from '../simulation/toy-header.ts';
import {ToyMachine} from '../simulation/toy-machine.ts';
import {TemporaryFolder} from '../support/ftvm.ts';

const joined = (generation: number): LogRecord => ({kind: 'joined', position: 0n, generation, backup: 'b'});
const takeover = (generation: number): LogRecord => {
  return {kind: 'takeover', position: 0n, generation, by: 'a', releasedThrough: 0n};
};

describe('the backup, as the log tells it', () => {
  for (const [what, records, backup] of [
    ['is who has joined', [joined(1)], 'b'],
    ['is nobody once the primary goes on alone', [joined(1), takeover(2)], undefined],
    ['is who has joined again', [joined(1), takeover(2), joined(2)], 'b'],
  ] as const) {
    it(what, async () => {
      using folder = new TemporaryFolder();
      const path = folder.join('run.ftlog');
      writeRecords(path, [{kind: 'header', position: 0n, ...toyHeader(1)}, ...records]);
      const follower = await Follower.open({
        feed: await FileFeed.open(path),
        logPath: path,
        build: async ({config}) => ({machine: new ToyMachine(config.stepsPerTick), close: () => {}}),
        sink: () => {},
      });
      await follower.run();
      assert.equal(follower.journal.backup, backup);
      follower.close();
    });
  }
});
