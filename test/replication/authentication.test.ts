// Heartbeat datagrams: what the peer sealed is opened once; anything else is dropped.

import assert from 'node:assert/strict';
import {createHmac, randomBytes} from 'node:crypto';
import {createSocket} from 'node:dgram';
import fc from 'fast-check';
import {
  DATAGRAM_BYTES,
  DatagramReceiver,
  DatagramSender,
  datagramKey,
  nameOfDatagram,
  openDatagram,
  sealDatagram,
} from '../../src/replication/authentication.ts';
import {SEED} from '../chaos/seed.ts';

const secret = new Uint8Array(randomBytes(32));
const session = new Uint8Array(randomBytes(16));
const key = datagramKey({secret, session, sender: 'primary'});
const sequences = fc.bigInt({min: 1n, max: (1n << 64n) - 1n});

describe(`authenticated datagrams, seed ${SEED} (FTVM_TEST_SEED)`, () => {
  const check = <T>(property: fc.IProperty<T>): void => fc.assert(property, {seed: SEED, numRuns: 300});

  it('are laid out as documented', () => {
    const datagram = Buffer.from(sealDatagram(key, 0x0102n));
    const head = Buffer.concat([Buffer.from('46545631', 'hex'), key.name, Buffer.from('0201000000000000', 'hex')]);
    assert.deepEqual(datagram.subarray(0, -32), head);
    assert.deepEqual(datagram.subarray(-32), createHmac('sha256', key.key).update(head).digest());
    assert.equal(nameOfDatagram(datagram), Buffer.from(key.name).toString('hex'));
  });

  it('come out as they went in', () => {
    check(fc.property(sequences, (sequence) => assert.equal(openDatagram(key, sealDatagram(key, sequence)), sequence)));
  });

  it('are not opened when anything was changed', () => {
    check(
      fc.property(sequences, fc.nat(), fc.integer({min: 1, max: 255}), (sequence, at, change) => {
        const datagram = sealDatagram(key, sequence);
        datagram[at % datagram.length]! ^= change;
        assert.equal(openDatagram(key, datagram), undefined);
      }),
    );
  });

  it('are not opened when cut off or made longer', () => {
    const datagram = sealDatagram(key, 7n);
    for (let length = 0; length < datagram.length; length++)
      assert.equal(openDatagram(key, datagram.subarray(0, length)), undefined);
    assert.equal(openDatagram(key, Buffer.concat([datagram, Buffer.alloc(1)])), undefined);
    assert.equal(openDatagram(key, new Uint8Array(65_507)), undefined);
  });

  it('are not opened when they are noise', () => {
    check(
      fc.property(fc.uint8Array({maxLength: 2 * DATAGRAM_BYTES}), (noise) => {
        assert.equal(openDatagram(key, noise), undefined);
      }),
    );
  });

  it('belong to one secret, one session and one direction', () => {
    const datagram = sealDatagram(key, 1n);
    const others = [
      datagramKey({secret: randomBytes(32), session, sender: 'primary'}),
      datagramKey({secret, session: randomBytes(16), sender: 'primary'}),
      datagramKey({secret, session, sender: 'follower'}),
      datagramKey({secret: undefined, session, sender: 'primary'}),
    ];
    for (const other of others) assert.equal(openDatagram(other, datagram), undefined);
    const same = datagramKey({secret, session, sender: 'primary'});
    assert.notEqual(openDatagram(same, datagram), undefined);
    assert.throws(() => datagramKey({secret, session: new Uint8Array(15), sender: 'primary'}), /session/);
    assert.throws(() => sealDatagram(key, 0n), /sequence/);
  });

  it('count once, in whatever order they come', () => {
    check(
      fc.property(fc.array(fc.integer({min: 1, max: 200}), {maxLength: 400}), (order) => {
        const receiver = new DatagramReceiver(key);
        const accepted = new Set<number>();
        let highest = 0;
        for (const sequence of order) {
          const verdict = receiver.judge(sealDatagram(key, BigInt(sequence)));
          // The plain model of the window.
          const expected = sequence <= highest - 64 ? 'late' : accepted.has(sequence) ? 'replayed' : 'accepted';
          assert.equal(verdict, expected);
          if (expected !== 'accepted') continue;
          accepted.add(sequence);
          highest = Math.max(highest, sequence);
        }
      }),
    );
  });

  it('a forged sequence moves no window', () => {
    const sender = new DatagramSender(key);
    const receiver = new DatagramReceiver(key);
    assert.equal(receiver.judge(sender.seal()), 'accepted');
    const forged = sealDatagram({name: key.name, key: randomBytes(32)}, (1n << 64n) - 1n);
    assert.equal(receiver.judge(forged), 'forged');
    assert.equal(receiver.judge(sender.seal()), 'accepted');
  });

  it('get through a storm of forged and replayed ones over UDP', async () => {
    const sender = new DatagramSender(key);
    const receiver = new DatagramReceiver(key);
    const counts = {accepted: 0, forged: 0, replayed: 0, late: 0};
    const receiving = createSocket('udp4');
    const sending = createSocket('udp4');
    const sent: Uint8Array[] = [];
    receiving.on('message', (datagram) => {
      counts[receiver.judge(datagram)]++;
    });
    await new Promise<void>((resolve) => receiving.bind(0, '127.0.0.1', resolve));
    const {port} = receiving.address();
    const send = (datagram: Uint8Array): Promise<void> =>
      new Promise((resolve) => sending.send(datagram, port, '127.0.0.1', () => resolve()));
    for (let round = 0; round < 100; round++) {
      const datagram = sender.seal();
      sent.push(datagram);
      await send(datagram);
      await send(sent[Math.max(0, round - (round % 80))]!);
      await send(sealDatagram({name: key.name, key: randomBytes(32)}, BigInt(round + 1)));
      // The receiver's buffer holds some 250 datagrams.
      if (round % 20 === 19) await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const deadlineMs = Date.now() + 3000;
    const total = (): number => counts.accepted + counts.forged + counts.replayed + counts.late;
    while (total() < 300 && Date.now() < deadlineMs) await new Promise((resolve) => setTimeout(resolve, 5));
    receiving.close();
    sending.close();
    assert.equal(counts.accepted, 100);
    assert.equal(counts.forged, 100);
    assert.equal(counts.replayed + counts.late, 100);
    assert.ok(counts.late > 0 && counts.replayed > 0);
  });
});
