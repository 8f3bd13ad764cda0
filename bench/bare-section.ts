// What the programs on bare metal say.

import {JUDGED_PROGRAM, type ProgramModes, type ProgramSpeeds} from './bare-programs.ts';
import {beside, type Figure, figureTable, formatSpread, judge, repeated, TARGETS} from './figures.ts';
import type {Engine} from './job.ts';
import type {Section} from './section.ts';
import {ratioOf, spreadOf} from './statistics.ts';
import {formatNumber, type Table} from './table.ts';

export function bareSection(measured: {
  speeds: readonly ProgramSpeeds[];
  modes: ProgramModes;
  engines: readonly Engine[];
}): Section {
  const {speeds, modes, engines} = measured;
  const judged = speeds.find(({program}) => program.name === JUDGED_PROGRAM);
  const figures: Figure[] = [
    ...(judged === undefined
      ? []
      : [
          {
            name: `interpreter, program ${JUDGED_PROGRAM}`,
            unit: 'MIPS',
            ftvm: spreadOf(speedsOf(judged, 'interpreter')),
            target: TARGETS.interpreterMips,
            ...beside(judged.qemu, 'plain'),
          },
        ]),
    {
      name: `speed recorded ÷ without a log, ${JUDGED_PROGRAM}`,
      unit: '×',
      ftvm: ratioOf({numerator: modes.record.speed, denominator: modes.plain.speed}),
      target: TARGETS.recordingRatio,
    },
    {
      name: `replay ÷ recording, wall time, ${JUDGED_PROGRAM}`,
      unit: '×',
      ftvm: ratioOf({numerator: modes.replay.wallS, denominator: modes.record.wallS}),
      target: TARGETS.replayRatio,
    },
  ].map(judge);
  return {
    name: 'bare',
    figures,
    tables: [figureTable('Bare metal', figures), speedTable(speeds, engines)],
    data: speeds.map(({program, engines, qemu}) => ({program, engines: Object.fromEntries(engines), qemu})),
  };
}

function speedTable(speeds: readonly ProgramSpeeds[], engines: readonly Engine[]): Table {
  const hasQemu = speeds.some(({qemu}) => qemu.length > 0);
  const fastest = engines[engines.length - 1];
  const spreads = speeds.flatMap((program) => engines.map((engine) => spreadOf(speedsOf(program, engine))));
  return {
    title: `Million instructions per CPU second on bare metal: median (least–most) of ${repeated(spreads)}`,
    columns: ['program', 'what it does', ...engines, ...(hasQemu ? ['QEMU', `${fastest} ÷ QEMU`] : [])],
    rows: speeds.map((program) => [
      program.program.name,
      program.program.description,
      ...engines.map((engine) => formatSpread(spreadOf(speedsOf(program, engine)))),
      ...(hasQemu
        ? [
            formatSpread(spreadOf(program.qemu)),
            formatNumber(spreadOf(speedsOf(program, fastest)).median / spreadOf(program.qemu).median),
          ]
        : []),
    ]),
  };
}

function speedsOf(speeds: ProgramSpeeds, engine: Engine): number[] {
  const values = speeds.engines.get(engine);
  if (values === undefined) throw new Error(`${speeds.program.name} was not run with the ${engine}`);
  return values;
}
