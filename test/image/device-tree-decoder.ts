// Decodes flattened device trees for the tests: the mirror of the encoder, written from the specification (Devicetree
// Specification 0.4, chapter 5) and not from the encoder, so that each checks the other. QEMU's own tree goes through it too.

import {strict as assert} from 'node:assert';

export type DecodedNode = {name: string; properties: Map<string, Uint8Array>; children: DecodedNode[]};

export type DecodedTree = {
  root: DecodedNode;
  version: number;
  bootCpu: number;
  reservations: {address: bigint; sizeBytes: bigint}[];
};

export function decodeDeviceTree(bytes: Uint8Array): DecodedTree {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  assert.equal(view.getUint32(0), 0xd00dfeed, 'magic');
  const [
    totalSize,
    structOffset,
    stringsOffset,
    reservationsOffset,
    version,
    lastCompatible,
    bootCpu,
    stringsSize,
    structSize,
  ] = Array.from({length: 9}, (_, i) => view.getUint32(4 + i * 4)) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  assert.ok(totalSize <= bytes.length && structOffset % 4 === 0 && reservationsOffset % 8 === 0);
  assert.ok(structOffset + structSize <= totalSize && stringsOffset + stringsSize <= totalSize);
  assert.equal(lastCompatible, 16);
  const reservations: DecodedTree['reservations'] = [];
  for (let at = reservationsOffset; ; at += 16) {
    const [address, sizeBytes] = [view.getBigUint64(at), view.getBigUint64(at + 8)];
    if (address === 0n && sizeBytes === 0n) break;
    reservations.push({address, sizeBytes});
  }
  const stringAt = (at: number) => new TextDecoder().decode(bytes.subarray(at, bytes.indexOf(0, at)));
  const root: DecodedNode = {name: '', properties: new Map(), children: []};
  const stack: DecodedNode[] = [];
  let at = structOffset;
  for (;;) {
    const token = view.getUint32(at);
    at += 4;
    if (token === 1) {
      const name = stringAt(at);
      at = (at + name.length + 4) & ~3;
      const node = stack.length === 0 ? root : {name, properties: new Map(), children: []};
      stack.at(-1)?.children.push(node);
      stack.push(node);
    } else if (token === 2) {
      assert.ok(stack.pop() !== undefined, 'END_NODE without BEGIN_NODE');
    } else if (token === 3) {
      const lengthBytes = view.getUint32(at);
      const name = stringAt(stringsOffset + view.getUint32(at + 4));
      stack.at(-1)!.properties.set(name, Uint8Array.from(bytes.subarray(at + 8, at + 8 + lengthBytes)));
      at = (at + 8 + lengthBytes + 3) & ~3;
    } else if (token === 9) {
      break;
    } else {
      assert.equal(token, 4, `token at ${at - 4}`);
    }
  }
  assert.equal(at, structOffset + structSize, 'END is the last token');
  assert.equal(stack.length, 0);
  return {root, version, bootCpu, reservations};
}

/** The node at a path such as `/soc/serial@10000000`. */
export function nodeAt(root: DecodedNode, path: string): DecodedNode {
  let node = root;
  for (const name of path.split('/').filter((part) => part !== '')) {
    const child = node.children.find((it) => it.name === name);
    assert.ok(child !== undefined, `${path}: no node ${name}`);
    node = child;
  }
  return node;
}

export function cellsOf(node: DecodedNode, name: string): number[] {
  const value = node.properties.get(name);
  assert.ok(value !== undefined, `${node.name}: no property ${name}`);
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  return Array.from({length: value.length / 4}, (_, i) => view.getUint32(i * 4));
}

export function stringsOf(node: DecodedNode, name: string): string[] {
  const value = node.properties.get(name);
  assert.ok(value !== undefined, `${node.name}: no property ${name}`);
  assert.equal(value.at(-1), 0);
  return new TextDecoder().decode(value.subarray(0, -1)).split('\0');
}
