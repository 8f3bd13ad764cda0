// --net as users write it, and what is wrong with it.

import assert from 'node:assert/strict';
import {FtvmError} from '../../src/errors.ts';
import {derivedMac, matchNics, parseNicSpec} from '../../src/replication/nic-spec.ts';

const usage = (message: RegExp) => (error: unknown) =>
  error instanceof FtvmError && error.code === 'usage' && message.test(error.message);

describe('--net', () => {
  it('is understood', () => {
    assert.deepEqual(parseNicSpec('stream:unix:/run/a b.sock').address, {kind: 'unix', path: '/run/a b.sock'});
    assert.deepEqual(parseNicSpec('stream:tcp:[::1]:9000').address, {kind: 'tcp', endpoint: {host: '::1', port: 9000}});
    const {address, mac} = parseNicSpec('stream:tcp:127.0.0.1:9000,mac=52:54:00:AB:cd:01');
    assert.deepEqual(address, {kind: 'tcp', endpoint: {host: '127.0.0.1', port: 9000}});
    assert.deepEqual(mac, Uint8Array.of(0x52, 0x54, 0, 0xab, 0xcd, 1));
  });

  for (const [text, message] of [
    ['', /not a place/],
    ['user', /not a place/],
    ['stream:udp:1.2.3.4:5', /neither unix:PATH nor tcp/],
    ['stream:tcp:127.0.0.1', /not an address/],
    [`stream:unix:/${'x'.repeat(107)}`, /at most 107 bytes/],
    ['tap:a-name-too-long-for-it', /not a place/],
    ['stream:unix:/a,mac=52:54:00:12:34', /not a MAC/],
    ['stream:unix:/a,mac=01:00:5e:00:00:01', /a group's address/],
  ] as const) {
    it(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
      assert.throws(() => parseNicSpec(text), usage(message));
    });
  }

  it("derives MACs that are local, a card's, and different", () => {
    const macs = [0, 1, 2, 3].map((nic) => derivedMac(new Uint8Array(16).fill(0xff), nic));
    for (const [first] of macs) assert.equal(first & 3, 2);
    assert.equal(new Set(macs.map(String)).size, 4);
  });

  it('must fit the guest of a log', () => {
    const spec = parseNicSpec('stream:unix:/a');
    matchNics([], 2);
    matchNics([spec], 1);
    assert.throws(() => matchNics([spec], 2), usage(/given 1 times, and the guest has 2 NICs/));
    assert.throws(
      () => matchNics([parseNicSpec('stream:unix:/a,mac=52:54:00:00:00:01')], 1),
      usage(/stands in the log/),
    );
  });
});
