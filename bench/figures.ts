// From samples to figures: what is judged, against which target, and what stands beside it.

import type {Samples} from './debian.ts';
import type {Engine} from './job.ts';
import {JUDGED_PROGRAM, type ProgramModes, type ProgramSpeeds} from './programs.ts';
import {ratioOf, type Spread, spreadOf} from './statistics.ts';

export type Target = {atLeast: number} | {atMost: number};
export type Verdict = 'reached' | 'missed';

export type Figure = {
  name: string;
  unit: string;
  ftvm: Spread;
  target?: Target;
  verdict?: Verdict;
  /** The same of QEMU, and of which of its modes. */
  qemu?: Spread;
  qemuMode?: string;
};

export type Measured = {
  speeds: readonly ProgramSpeeds[];
  modes: ProgramModes;
  debian: Samples | undefined;
  idleS: number;
};

/** Of the issue that built the machine; idle replay is scaled to what was recorded. */
export const TARGETS = {
  interpreterMips: {atLeast: 250},
  firstUserS: {atMost: 10},
  recordingRatio: {atLeast: 0.97},
  replayRatio: {atMost: 1},
  idleReplayS: {atMost: 1},
  bootLogBytes: {atMost: 20_000},
  idleBytesPerS: {atMost: 200},
  extraMemoryMb: {atMost: 250},
} as const;

export function figuresOf(measured: Measured): Figure[] {
  const {speeds, modes, debian} = measured;
  const judged = speeds.find(({program}) => program.name === JUDGED_PROGRAM);
  const figures: Figure[] = [];
  if (judged !== undefined) {
    figures.push({
      name: `interpreter, program ${JUDGED_PROGRAM}`,
      unit: 'MIPS',
      ftvm: spreadOf(speedsOf(judged, 'interpreter')),
      target: TARGETS.interpreterMips,
      ...beside(judged.qemu, 'plain'),
    });
  }
  figures.push(
    {
      name: `speed recorded ÷ without a log, ${JUDGED_PROGRAM}`,
      unit: '×',
      ftvm: ratioOf({numerator: modes.record.speed, denominator: modes.plain.speed}),
      target: TARGETS.recordingRatio,
    },
    {
      name: `replay time ÷ recording time, ${JUDGED_PROGRAM}`,
      unit: '×',
      ftvm: ratioOf({numerator: modes.replay.wallS, denominator: modes.record.wallS}),
      target: TARGETS.replayRatio,
    },
    ...(debian === undefined ? [] : debianFigures(debian, measured.idleS)),
  );
  return figures.map(judge);
}

export function speedsOf(speeds: ProgramSpeeds, engine: Engine): number[] {
  const values = speeds.engines.get(engine);
  if (values === undefined) throw new Error(`${speeds.program.name} was not run with the ${engine}`);
  return values;
}

/** The median decides. */
export function judge(figure: Figure): Figure {
  const {target, ftvm} = figure;
  if (target === undefined) return figure;
  const isReached = 'atLeast' in target ? ftvm.median >= target.atLeast : ftvm.median <= target.atMost;
  return {...figure, verdict: isReached ? 'reached' : 'missed'};
}

function debianFigures(debian: Samples, idleS: number): Figure[] {
  const {userS, userCpuS, speed, wallS, cpuS, bootLogBytes, peakRssBytes, ramBytes} = debian;
  const beyondRam = (values: readonly number[]) => values.map((bytes) => (bytes - ramBytes) / 1e6);
  return [
    {
      name: 'Debian, command to first user process',
      unit: 's',
      ftvm: spreadOf(userS.record),
      target: TARGETS.firstUserS,
      ...beside(userS.qemu, 'plain'),
    },
    {
      name: 'Debian, the same in CPU seconds',
      unit: 's',
      ftvm: spreadOf(userCpuS.record),
      ...beside(userCpuS.qemu, 'plain'),
    },
    {
      name: 'Debian, the same beside QEMU recording',
      unit: 's',
      ftvm: spreadOf(userS.record),
      ...beside(userS.qemuRecord, 'rr=record'),
    },
    {
      name: 'speed recorded ÷ without a log, boot',
      unit: '×',
      ftvm: ratioOf({numerator: speed.record, denominator: speed.plain}),
      target: TARGETS.recordingRatio,
    },
    {
      name: 'replay time ÷ recording time, boot',
      unit: '×',
      ftvm: ratioOf({numerator: wallS.replay, denominator: wallS.record}),
      target: TARGETS.replayRatio,
      ...(wallS.qemuRecord.length === 0
        ? {}
        : {
            qemu: ratioOf({numerator: wallS.qemuReplay, denominator: wallS.qemuRecord}),
            qemuMode: 'rr',
          }),
    },
    {
      name: 'replay ÷ recording of a boot, CPU seconds',
      unit: '×',
      ftvm: ratioOf({numerator: cpuS.replay, denominator: cpuS.record}),
      target: TARGETS.replayRatio,
    },
    {
      name: `replay of ${idleS} s of an idle shell`,
      unit: 's',
      ftvm: spreadOf(debian.idleReplayS),
      target: {atMost: (TARGETS.idleReplayS.atMost * idleS) / 60},
    },
    {
      name: 'log of a boot to the shell',
      unit: 'B',
      ftvm: spreadOf(bootLogBytes.record),
      target: TARGETS.bootLogBytes,
      ...beside(bootLogBytes.qemuRecord, 'rr=record'),
    },
    {
      name: 'log of an idle shell',
      unit: 'B/s',
      ftvm: spreadOf(debian.idleBytesPerS),
      target: TARGETS.idleBytesPerS,
    },
    {
      name: 'peak memory beyond guest RAM, record',
      unit: 'MB',
      ftvm: spreadOf(beyondRam(peakRssBytes.record)),
      target: TARGETS.extraMemoryMb,
      ...beside(beyondRam(peakRssBytes.qemu), 'plain'),
    },
    {
      name: 'peak memory beyond guest RAM, replay',
      unit: 'MB',
      ftvm: spreadOf(beyondRam(peakRssBytes.replay)),
      target: TARGETS.extraMemoryMb,
    },
  ];
}

function beside(values: readonly number[], qemuMode: string): {qemu?: Spread; qemuMode?: string} {
  return values.length === 0 ? {} : {qemu: spreadOf(values), qemuMode};
}
