// The device tree: the encoder against a decoder written from the specification, and its content against the tree that QEMU's
// `virt` machine shows (where the same hardware is described the same way, the same software runs on both).

import {strict as assert} from 'node:assert';
import {spawnSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import fc from 'fast-check';
import {buildDeviceTree, ISA_EXTENSIONS, ISA_STRING} from '../../src/emulator/image/device-tree.ts';
import {cellPair, type DeviceTreeNode, encodeDeviceTree} from '../../src/emulator/image/flattened-device-tree.ts';
import {QEMU, QEMU_CPU, qemuMissing} from '../support/qemu.ts';
import {skipUnless} from '../support/skip.ts';
import {cellsOf, type DecodedNode, decodeDeviceTree, nodeAt, stringsOf} from './device-tree-decoder.ts';
import {machineConfig} from './machine-config.ts';

const RAM_BYTES = 256 * 2 ** 20;

describe('the encoder of device trees', () => {
  it('writes every kind of property so that the decoder reads it', () => {
    const blob = encodeDeviceTree({
      name: '',
      properties: {empty: true, text: 'ä', texts: ['a', '', 'bc'], cells: {cells: [0, 0xffff_ffff]}, none: {cells: []}},
      children: [
        {name: 'child@1', properties: {text: 'again', bytes: {bytes: Uint8Array.of(1, 2, 3)}}},
        {name: 'x', properties: {}},
      ],
    });
    const {root, version, reservations} = decodeDeviceTree(blob);
    assert.equal(version, 17);
    assert.deepEqual(reservations, []);
    assert.deepEqual([...root.properties.keys()], ['empty', 'text', 'texts', 'cells', 'none']);
    assert.equal(root.properties.get('empty')!.length, 0);
    assert.deepEqual(stringsOf(root, 'text'), ['ä']);
    assert.deepEqual(stringsOf(root, 'texts'), ['a', '', 'bc']);
    assert.deepEqual(cellsOf(root, 'cells'), [0, 0xffff_ffff]);
    assert.deepEqual(
      root.children.map(({name}) => name),
      ['child@1', 'x'],
    );
    assert.deepEqual([...nodeAt(root, '/child@1').properties.get('bytes')!], [1, 2, 3]);
  });

  it('is read back equal, whatever the tree', () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9,#-]{0,30}$/);
    const properties = fc.dictionary(
      name,
      fc.uint8Array({maxLength: 9}).map((bytes) => ({bytes})),
      {maxKeys: 5},
    );
    const leaf: fc.Arbitrary<DeviceTreeNode> = fc.record({name, properties});
    const branchOf = (child: fc.Arbitrary<DeviceTreeNode>): fc.Arbitrary<DeviceTreeNode> =>
      fc.record({name, properties, children: fc.array(child, {maxLength: 3})});
    const node = branchOf(branchOf(branchOf(leaf)));
    fc.assert(
      fc.property(node, (tree) => {
        const root = {...tree, name: ''};
        assert.deepEqual(plain(decodeDeviceTree(encodeDeviceTree(root)).root), plainSource(root));
      }),
    );
  });

  it('splits addresses above 4 GiB', () => {
    assert.deepEqual(cellPair(0x1_8000_0001), [1, 0x8000_0001]);
  });
});

describe("the machine's device tree", () => {
  const config = {...machineConfig('linux', RAM_BYTES), commandLine: 'console=ttyS0 ä'};
  const initrd = {start: 0x8f00_0000, end: 0x8f12_3456};
  const {root} = decodeDeviceTree(buildDeviceTree(config, initrd));

  it('carries the configuration', () => {
    const chosen = nodeAt(root, '/chosen');
    assert.deepEqual(stringsOf(chosen, 'bootargs'), [config.commandLine]);
    assert.deepEqual(chosen.properties.get('rng-seed'), config.rngSeed);
    assert.deepEqual(cellsOf(chosen, 'linux,initrd-start'), [0, initrd.start]);
    assert.deepEqual(cellsOf(chosen, 'linux,initrd-end'), [0, initrd.end]);
    assert.deepEqual(cellsOf(nodeAt(root, '/memory@80000000'), 'reg'), [0, 0x8000_0000, 0, RAM_BYTES]);
    const [stdoutPath] = stringsOf(chosen, 'stdout-path');
    assert.deepEqual(stringsOf(nodeAt(root, stdoutPath!), 'compatible'), ['ns16550a']);
  });

  it('names no initrd when there is none, and is as long wherever it lies', () => {
    const without = nodeAt(decodeDeviceTree(buildDeviceTree(config, undefined)).root, '/chosen');
    assert.ok(!without.properties.has('linux,initrd-start'));
    assert.equal(buildDeviceTree(config, {start: 0, end: 0}).length, buildDeviceTree(config, initrd).length);
  });

  it('names the extensions in both ways, the same', () => {
    const cpu = nodeAt(root, '/cpus/cpu@0');
    assert.deepEqual(stringsOf(cpu, 'riscv,isa'), ['rv64imafdc_zicntr_zicsr_zifencei_zba_zbb_zbs_sstc']);
    assert.equal(stringsOf(cpu, 'riscv,isa')[0], ISA_STRING);
    assert.deepEqual(stringsOf(cpu, 'riscv,isa-extensions'), [...ISA_EXTENSIONS]);
  });

  it('refers only to nodes that exist', () => {
    const handles = new Set(
      allNodes(root).flatMap((node) => (node.properties.has('phandle') ? cellsOf(node, 'phandle') : [])),
    );
    const references = allNodes(root).flatMap((node) =>
      ['interrupt-parent', 'regmap', 'cpu']
        .filter((name) => node.properties.has(name))
        .flatMap((name) => cellsOf(node, name)),
    );
    assert.ok(references.length > 10);
    for (const reference of references) assert.ok(handles.has(reference), `no node has phandle ${reference}`);
  });

  it('describes every device as QEMU does', function () {
    skipUnless(this, qemuMissing() === undefined, qemuMissing()!);
    const theirs = dumpQemuTree();
    const ours = nodeAt(root, '/soc');
    for (const node of ours.children) {
      const twin = nodeAt(theirs, `/soc/${node.name}`);
      for (const name of ['reg', 'interrupts', 'compatible', 'clock-frequency', '#interrupt-cells', '#address-cells']) {
        assert.deepEqual(node.properties.get(name), twin.properties.get(name), `${node.name}: ${name}`);
      }
      // References by number differ; the causes behind them do not.
      const causes = (it: DecodedNode) => cellsOf(it, 'interrupts-extended').filter((_, index) => index % 2 === 1);
      if (twin.properties.has('interrupts-extended')) assert.deepEqual(causes(node), causes(twin), node.name);
    }
    assert.deepEqual(
      theirs.children
        .find(({name}) => name === 'soc')!
        .children.map(({name}) => name)
        .filter((name) => !name.startsWith('pci'))
        .sort(),
      ours.children.map(({name}) => name).sort(),
      'no device is missing',
    );
    for (const path of ['/poweroff', '/reboot']) {
      for (const name of ['value', 'offset', 'compatible']) {
        assert.deepEqual(
          nodeAt(root, path).properties.get(name),
          nodeAt(theirs, path).properties.get(name),
          `${path}: ${name}`,
        );
      }
    }
    assert.deepEqual(
      cellsOf(nodeAt(root, '/cpus'), 'timebase-frequency'),
      cellsOf(nodeAt(theirs, '/cpus'), 'timebase-frequency'),
    );
    assert.deepEqual(nodeAt(root, '/memory@80000000'), nodeAt(theirs, '/memory@80000000'));
  });
});

function dumpQemuTree(): DecodedNode {
  const folder = mkdtempSync(join(tmpdir(), 'ftvm-dtb-'));
  try {
    const file = join(folder, 'virt.dtb');
    const {status, stderr} = spawnSync(
      QEMU,
      ['-machine', `virt,dumpdtb=${file}`, '-cpu', QEMU_CPU, '-m', `${RAM_BYTES / 2 ** 20}M`, '-display', 'none'],
      {encoding: 'utf8'},
    );
    assert.equal(status, 0, stderr);
    return decodeDeviceTree(readFileSync(file)).root;
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}

function allNodes(node: DecodedNode): DecodedNode[] {
  return [node, ...node.children.flatMap(allNodes)];
}

type PlainNode = {name: string; properties: [string, number[]][]; children: PlainNode[]};

function plain(node: DecodedNode): PlainNode {
  const properties = [...node.properties].map(([name, bytes]): [string, number[]] => [name, [...bytes]]);
  return {name: node.name, properties, children: node.children.map(plain)};
}

function plainSource(node: DeviceTreeNode): PlainNode {
  const properties = Object.entries(node.properties).map(([name, value]): [string, number[]] => [
    name,
    [...(value as {bytes: Uint8Array}).bytes],
  ]);
  return {name: node.name, properties, children: (node.children ?? []).map(plainSource)};
}
