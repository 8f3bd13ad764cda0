// What a machine that has moved says to the network, byte by byte; and whose address it believes to be the guest's.

import assert from 'node:assert/strict';
import {AddressLearner, gratuitousArp, rarp} from '../../src/session/announcement.ts';

const MAC = Uint8Array.of(0x52, 0x54, 0, 1, 2, 3);
const OTHER = Uint8Array.of(0x52, 0x54, 0, 9, 9, 9);
const ADDRESS = Uint8Array.of(10, 0, 2, 15);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const packet = (bytes: Uint8Array, nic = 0) => ({kind: 'packet' as const, ordinal: 1n, nic, bytes});

/** An ARP frame with these senders. */
function arp(etherMac: Uint8Array, senderMac: Uint8Array, address: Uint8Array): Uint8Array {
  const frame = gratuitousArp(senderMac, address);
  frame.set(etherMac, 6);
  return frame;
}

describe('announcements', () => {
  it('are RARP and gratuitous ARP to everybody (RFC 903, RFC 826)', () => {
    const padding = '00'.repeat(18);
    assert.equal(
      hex(rarp(MAC)),
      `ffffffffffff5254000102038035${'00010800060400035254000102030000000052540001020300000000'}${padding}`,
    );
    assert.equal(
      hex(gratuitousArp(MAC, ADDRESS)),
      `ffffffffffff5254000102030806${'00010800060400015254000102030a00020f0000000000000a00020f'}${padding}`,
    );
  });

  it('name the address that the guest claimed last, and no other', () => {
    const learner = new AddressLearner([OTHER, MAC]);
    assert.deepEqual(learner.announcements(1).map(hex), [hex(rarp(MAC))]);
    learner.observe({kind: 'console', ordinal: 1n, bytes: arp(MAC, MAC, ADDRESS)});
    learner.observe(packet(arp(OTHER, MAC, ADDRESS), 1));
    learner.observe(packet(arp(MAC, OTHER, ADDRESS), 1));
    learner.observe(packet(arp(MAC, MAC, new Uint8Array(4)), 1));
    learner.observe(packet(arp(MAC, MAC, ADDRESS).subarray(0, 41), 1));
    learner.observe(packet(arp(MAC, MAC, ADDRESS), 2));
    assert.equal(learner.announcements(1).length, 1);
    learner.observe(packet(arp(MAC, MAC, Uint8Array.of(10, 0, 2, 99)), 1));
    learner.observe(packet(arp(MAC, MAC, ADDRESS), 1));
    assert.deepEqual(learner.announcements(1).map(hex), [hex(rarp(MAC)), hex(gratuitousArp(MAC, ADDRESS))]);
    assert.equal(learner.announcements(0).length, 1);
    assert.deepEqual(learner.announcements(7), []);
  });
});
