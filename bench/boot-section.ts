// What Debian's boot and an idle shell say.

import type {BootSamples} from './boot.ts';
import {beside, type Figure, figureTable, judge, TARGETS} from './figures.ts';
import type {Section} from './section.ts';
import {ratioOf, spreadOf} from './statistics.ts';

export function bootSection(samples: BootSamples): Section {
  const figures = figuresOf(samples).map(judge);
  return {
    name: 'boot',
    figures,
    tables: [figureTable('Debian from the command to its shell, and idle', figures)],
    data: samples,
  };
}

function figuresOf({idleS, ...samples}: BootSamples): Figure[] {
  const {speed, wallS, cpuS, bootLogBytes, peakRssBytes, ramBytes} = samples;
  const beyondRam = (values: readonly number[]) => values.map((bytes) => (bytes - ramBytes) / 1e6);
  return [
    {
      name: 'command to the first instruction of the guest',
      unit: 's',
      ftvm: spreadOf(samples.starts.ftvmS),
      target: TARGETS.firstInstructionS,
    },
    {name: 'of that, starting Node (`node -e 0`)', unit: 's', ftvm: spreadOf(samples.starts.nodeS)},
    {
      name: 'command to the shell, recording',
      unit: 's',
      ftvm: spreadOf(wallS.record),
      ...beside(samples.wallS.qemu, 'plain'),
    },
    {name: 'the same in CPU seconds', unit: 's', ftvm: spreadOf(cpuS.record), ...beside(cpuS.qemu, 'plain')},
    {
      name: 'speed of a boot recorded ÷ without a log',
      unit: '×',
      ftvm: ratioOf({numerator: speed.record, denominator: speed.plain}),
      target: TARGETS.recordingRatio,
    },
    {
      name: 'replay ÷ recording of a boot, wall time',
      unit: '×',
      ftvm: ratioOf({numerator: wallS.replay, denominator: wallS.record}),
      target: TARGETS.replayRatio,
    },
    {
      name: 'replay ÷ recording of a boot, CPU time',
      unit: '×',
      ftvm: ratioOf({numerator: cpuS.replay, denominator: cpuS.record}),
      target: TARGETS.replayRatio,
    },
    {
      name: `replay of ${idleS} s of an idle shell`,
      unit: 's',
      ftvm: spreadOf(samples.idleReplayS),
      target: {atMost: (TARGETS.idleReplayS.atMost * idleS) / 60},
    },
    {
      name: 'log of a boot to the shell',
      unit: 'B',
      ftvm: spreadOf(bootLogBytes.record),
      target: TARGETS.bootLogBytes,
      ...beside(bootLogBytes.qemuRecord, 'rr=record, to the first user process'),
    },
    {
      name: 'log of an idle shell',
      unit: 'B/s',
      ftvm: spreadOf(samples.idleBytesPerS),
      target: TARGETS.idleBytesPerS,
    },
    {
      name: 'peak memory beyond guest RAM, recording',
      unit: 'MB',
      ftvm: spreadOf(beyondRam(peakRssBytes.record)),
      target: TARGETS.extraMemoryMb,
      ...beside(beyondRam(peakRssBytes.qemu), 'plain'),
    },
    {
      name: 'peak memory beyond guest RAM, replaying',
      unit: 'MB',
      ftvm: spreadOf(beyondRam(peakRssBytes.replay)),
      target: TARGETS.extraMemoryMb,
    },
  ];
}
