// How much a primary is slowed: by what its backup lags beyond what the way there and back explains, and never by that alone.

import assert from 'node:assert/strict';
import {LAG_ALLOWED_MS, LAG_LIMIT_MS, RoundTrip, slowdownMs} from '../../src/replication/lag.ts';

describe('a lagging backup', () => {
  it('slows its primary beyond what is allowed, and stops it in the end', () => {
    const waits = [0, LAG_ALLOWED_MS, LAG_ALLOWED_MS + 1, 500, LAG_LIMIT_MS - 1, LAG_LIMIT_MS].map((lagMs) =>
      slowdownMs({lagMs, roundTripMs: 0}),
    );
    assert.deepEqual([waits[0], waits[1], waits[2], waits.at(-2), waits.at(-1)], [0, 0, 1, 19, 20]);
    assert.ok(waits[3] > 3 && waits[3] < 5, String(waits[3]));
  });

  it('that is far away does not slow it, up to a tenth of a second', () => {
    assert.equal(slowdownMs({lagMs: 60, roundTripMs: 50}), 0);
    assert.ok(slowdownMs({lagMs: 61, roundTripMs: 50}) > 0);
    assert.ok(slowdownMs({lagMs: 111, roundTripMs: 900}) > 0);
    assert.equal(slowdownMs({lagMs: LAG_LIMIT_MS, roundTripMs: 900}), 20);
  });

  it('is as far away as the fastest of the last acknowledgements', () => {
    const roundTrip = new RoundTrip();
    assert.equal(roundTrip.ms, 0);
    roundTrip.sent(5n, 100);
    // Sent while the first is on its way: not measured.
    roundTrip.sent(6n, 104);
    roundTrip.acknowledged(4n, 105);
    assert.equal(roundTrip.ms, 0);
    roundTrip.acknowledged(6n, 112);
    assert.equal(roundTrip.ms, 12);
    for (let n = 0; n < 16; n += 1) {
      assert.equal(roundTrip.ms, 12);
      roundTrip.sent(BigInt(10 + n), 200 + n);
      roundTrip.acknowledged(BigInt(10 + n), 230 + n);
    }
    assert.equal(roundTrip.ms, 30);
  });
});
