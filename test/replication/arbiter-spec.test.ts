// What users may write after --arbiter, and what they are told when it is wrong.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import {FtvmError} from '../../src/errors.ts';
import {openArbiter, parseArbiterSpec} from '../../src/replication/arbiter-spec.ts';

describe('an arbiter specification', () => {
  it('names a folder or servers', () => {
    assert.deepEqual(parseArbiterSpec('dir:/mnt/shared/a b'), {kind: 'directory', path: '/mnt/shared/a b'});
    assert.deepEqual(parseArbiterSpec('nats://one'), {kind: 'nats', servers: ['one:4222']});
    assert.deepEqual(parseArbiterSpec('nats://a.example:1,nats://10.0.0.2:65535,[fd00::1]:4222'), {
      kind: 'nats',
      servers: ['a.example:1', '10.0.0.2:65535', '[fd00::1]:4222'],
    });
  });

  const wrong: readonly [string, RegExp][] = [
    ['', /neither with dir: nor with nats/],
    ['/mnt/shared', /neither/],
    ['etcd://host', /neither/],
    ['dir:', /path is missing/],
    ['dir:relative', /not absolute/],
    ['dir:/a\0b', /zero byte/],
    ['nats://', /"" is not HOST:PORT/],
    ['nats://a,,b', /"" is not HOST:PORT/],
    ['nats://a:b', /"a:b" is not HOST:PORT/],
    ['nats://a:0', /no port 0/],
    ['nats://a:65536', /no port 65536/],
    ['nats://fd00::1:4222', /not HOST:PORT/],
    ['nats://a/path', /not HOST:PORT/],
    [`nats://${Array.from({length: 17}, (_, index) => `h${index}`).join(',')}`, /more than 16/],
    [`dir:/${'x'.repeat(5000)}`, /longer than/],
  ];
  for (const [spec, message] of wrong) {
    it(`refuses ${JSON.stringify(spec.slice(0, 40))}`, async () => {
      await assert.rejects(openArbiter(spec), (error) => {
        assert.ok(error instanceof FtvmError);
        assert.equal(error.code, 'usage');
        assert.match(error.message, message);
        assert.ok(error.hint);
        return true;
      });
    });
  }

  it('keeps a password out of its own message', () => {
    assert.throws(
      () => parseArbiterSpec('nats://user:secret@host:4222'),
      (error: FtvmError) => !error.message.includes('secret') && /NATS_PASSWORD/.test(error.hint ?? ''),
    );
  });

  it('is parsed or refused by name, whatever it is', () => {
    const text = fc.oneof(
      fc.string(),
      fc.string().map((rest) => `nats://${rest}`),
      fc.string().map((rest) => `dir:${rest}`),
    );
    fc.assert(
      fc.property(text, (spec) => {
        try {
          parseArbiterSpec(spec);
        } catch (error) {
          assert.ok(error instanceof FtvmError && error.code === 'usage', String(error));
        }
      }),
    );
  });
});
