// The machine's device tree: what firmware and kernel learn about the hardware. It describes exactly what the machine has, at
// the places where QEMU's `virt` machine has it. It is made from the configuration alone.

import type {MachineConfig} from '../config.ts';
import {RAM_BASE} from '../layout.ts';
import {cellPair, type DeviceTreeNode, encodeDeviceTree} from './flattened-device-tree.ts';
import {
  CLINT,
  type DeviceRange,
  FINISHER,
  PLIC,
  PLIC_SOURCE_COUNT,
  RTC,
  RTC_IRQ,
  TIMEBASE_HZ,
  UART,
  UART_CLOCK_HZ,
  UART_IRQ,
  VIRTIO_SLOT_COUNT,
  virtioIrq,
  virtioSlot,
} from './memory-map.ts';

/** What the hart implements besides the base `rv64i`; the order is the canonical one (ISA manual, naming conventions). */
export const ISA_EXTENSIONS = [
  'i',
  'm',
  'a',
  'f',
  'd',
  'c',
  'zicntr',
  'zicsr',
  'zifencei',
  'zba',
  'zbb',
  'zbs',
  'sstc',
] as const;

/** The same as one string: `rv64imafdc_zicntr_…`. */
export const ISA_STRING = `rv64${ISA_EXTENSIONS.filter((name) => name.length === 1).join('')}${ISA_EXTENSIONS.filter(
  (name) => name.length > 1,
)
  .map((name) => `_${name}`)
  .join('')}`;

/** Nodes that others refer to. */
const PHANDLE = {cpu: 1, cpuIntc: 2, plic: 3, finisher: 4} as const;

/** Interrupt causes that the CLINT and the PLIC raise (privileged architecture, mcause). */
const CAUSE = {machineSoftware: 3, machineTimer: 7, supervisorExternal: 9, machineExternal: 11} as const;

/** An initrd in RAM: from `start` up to, not including, `end`. */
export type InitrdRange = {start: number; end: number};

/** The encoded tree of the machine with this configuration. */
export function buildDeviceTree(
  config: Pick<MachineConfig, 'ramBytes' | 'commandLine' | 'rngSeed'>,
  initrd: InitrdRange | undefined,
): Uint8Array {
  return encodeDeviceTree(rootNode(config, initrd));
}

function rootNode(
  config: Pick<MachineConfig, 'ramBytes' | 'commandLine' | 'rngSeed'>,
  initrd: InitrdRange | undefined,
): DeviceTreeNode {
  return {
    name: '',
    properties: {
      '#address-cells': {cells: [2]},
      '#size-cells': {cells: [2]},
      compatible: 'riscv-virtio',
      model: 'riscv-virtio,ftvm',
    },
    children: [
      {
        name: 'chosen',
        properties: {
          bootargs: config.commandLine,
          'stdout-path': `/soc/${nameOf('serial', UART)}`,
          'rng-seed': {bytes: config.rngSeed},
          ...(initrd === undefined
            ? {}
            : {
                'linux,initrd-start': {cells: cellPair(initrd.start)},
                'linux,initrd-end': {cells: cellPair(initrd.end)},
              }),
        },
      },
      {
        name: `memory@${RAM_BASE.toString(16)}`,
        properties: {
          device_type: 'memory',
          reg: {cells: [...cellPair(RAM_BASE), ...cellPair(config.ramBytes)]},
        },
      },
      cpusNode(),
      syscon('poweroff', 0x5555),
      syscon('reboot', 0x7777),
      socNode(),
    ],
  };
}

function cpusNode(): DeviceTreeNode {
  return {
    name: 'cpus',
    properties: {
      '#address-cells': {cells: [1]},
      '#size-cells': {cells: [0]},
      'timebase-frequency': {cells: [TIMEBASE_HZ]},
    },
    children: [
      {
        name: 'cpu@0',
        properties: {
          phandle: {cells: [PHANDLE.cpu]},
          device_type: 'cpu',
          reg: {cells: [0]},
          status: 'okay',
          compatible: 'riscv',
          'riscv,isa': ISA_STRING,
          'riscv,isa-base': 'rv64i',
          'riscv,isa-extensions': ISA_EXTENSIONS,
          'mmu-type': 'riscv,sv39',
        },
        children: [
          {
            name: 'interrupt-controller',
            properties: {
              '#interrupt-cells': {cells: [1]},
              'interrupt-controller': true,
              compatible: 'riscv,cpu-intc',
              phandle: {cells: [PHANDLE.cpuIntc]},
            },
          },
        ],
      },
      {
        name: 'cpu-map',
        properties: {},
        children: [
          {
            name: 'cluster0',
            properties: {},
            children: [{name: 'core0', properties: {cpu: {cells: [PHANDLE.cpu]}}}],
          },
        ],
      },
    ],
  };
}

/** Power-off and reset: the kernel writes `value` into the finisher. */
function syscon(kind: 'poweroff' | 'reboot', value: number): DeviceTreeNode {
  return {
    name: kind,
    properties: {
      compatible: `syscon-${kind}`,
      regmap: {cells: [PHANDLE.finisher]},
      offset: {cells: [0]},
      value: {cells: [value]},
    },
  };
}

function socNode(): DeviceTreeNode {
  const slots = Array.from({length: VIRTIO_SLOT_COUNT}, (_, index) => index);
  return {
    name: 'soc',
    properties: {
      '#address-cells': {cells: [2]},
      '#size-cells': {cells: [2]},
      compatible: 'simple-bus',
      ranges: true,
    },
    children: [
      {
        name: nameOf('test', FINISHER),
        properties: {
          phandle: {cells: [PHANDLE.finisher]},
          reg: reg(FINISHER),
          compatible: ['sifive,test1', 'sifive,test0', 'syscon'],
        },
      },
      {
        name: nameOf('rtc', RTC),
        properties: {...interrupt(RTC_IRQ), reg: reg(RTC), compatible: 'google,goldfish-rtc'},
      },
      {
        name: nameOf('clint', CLINT),
        properties: {
          'interrupts-extended': {
            cells: [PHANDLE.cpuIntc, CAUSE.machineSoftware, PHANDLE.cpuIntc, CAUSE.machineTimer],
          },
          reg: reg(CLINT),
          compatible: ['sifive,clint0', 'riscv,clint0'],
        },
      },
      {
        name: nameOf('plic', PLIC),
        properties: {
          phandle: {cells: [PHANDLE.plic]},
          'riscv,ndev': {cells: [PLIC_SOURCE_COUNT]},
          reg: reg(PLIC),
          // Context 0 is the hart in M mode, context 1 in S mode.
          'interrupts-extended': {
            cells: [PHANDLE.cpuIntc, CAUSE.machineExternal, PHANDLE.cpuIntc, CAUSE.supervisorExternal],
          },
          'interrupt-controller': true,
          compatible: ['sifive,plic-1.0.0', 'riscv,plic0'],
          '#address-cells': {cells: [0]},
          '#interrupt-cells': {cells: [1]},
        },
      },
      {
        name: nameOf('serial', UART),
        properties: {
          ...interrupt(UART_IRQ),
          'clock-frequency': {cells: [UART_CLOCK_HZ]},
          reg: reg(UART),
          compatible: 'ns16550a',
        },
      },
      ...slots.map((index) => ({
        name: nameOf('virtio_mmio', virtioSlot(index)),
        properties: {...interrupt(virtioIrq(index)), reg: reg(virtioSlot(index)), compatible: 'virtio,mmio'},
      })),
    ],
  };
}

function nameOf(kind: string, range: DeviceRange): string {
  return `${kind}@${range.base.toString(16)}`;
}

function reg(range: DeviceRange): {cells: number[]} {
  return {cells: [...cellPair(range.base), ...cellPair(range.sizeBytes)]};
}

function interrupt(irq: number) {
  return {interrupts: {cells: [irq]}, 'interrupt-parent': {cells: [PHANDLE.plic]}};
}
