// A primary listens before its log is there, so that an occupied port ends it at once. Who connects in between waits: what is in the
// log's place until then may be another guest's, which `--force` is about to replace.

import assert from 'node:assert/strict';
import {setTimeout as sleep} from 'node:timers/promises';
import {encodeMessage} from '../../src/replication/messages.ts';
import {HELLO, PrimaryAlone} from '../chaos/peers-alone.ts';
import {Wire} from '../chaos/wire.ts';

describe('a follower that comes early', () => {
  it('is greeted when the log is there', async () => {
    const primary = await PrimaryAlone.listening();
    const wire = new Wire({isDeaf: false});
    primary.accept(wire);
    wire.say(encodeMessage({kind: 'hello', hello: HELLO}));
    await sleep(20);
    assert.equal(wire.heard.length, 0);
    primary.serve();
    await sleep(20);
    assert.match(wire.heard.toString('latin1'), /nonceName/);
    await primary.close();
  });
});
