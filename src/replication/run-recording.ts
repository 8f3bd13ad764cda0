// `record`, whole.

import {FtvmError} from '../errors.ts';
import {type RecordOptions, startRecording} from '../session/recording.ts';
import type {Arbiter} from './arbiter.ts';
import {parseEndpoint} from './endpoint.ts';
import {LivePrimary, type LiveRun, Replicating} from './live-run.ts';
import type {Timing} from './timing.ts';
import type {World} from './world.ts';

export async function runRecording(
  world: World,
  options: Omit<RecordOptions, 'console' | 'followers' | 'lineageId'>,
  around: {listen: string | undefined; timing: Timing; signal: AbortSignal; note: (text: string) => void},
): Promise<LiveRun> {
  const {note, signal, timing} = around;
  const listen = around.listen === undefined ? undefined : parseEndpoint(around.listen, '--listen');
  const lineageId = crypto.getRandomValues(new Uint8Array(16));
  const claimant = world.uniqueId();
  let live: LivePrimary | undefined;
  const control = await world.control(options.logPath, async (request) =>
    live === undefined ? {ok: false, message: 'the session is starting'} : live.control(request),
  );
  try {
    const arbiter =
      options.arbiter === null ? undefined : await firstGeneration(world, options.arbiter, {lineageId, claimant});
    const replicating = await Replicating.open(
      world,
      {listen, arbiter, timing},
      {path: options.logPath, lineageId, generation: 1, claimant, note},
    );
    try {
      const console = world.openConsole(() => live?.stop('stopped'));
      try {
        const primary = await startRecording({...options, lineageId, console, followers: replicating.followers});
        live = new LivePrimary({primary, replicating, generation: 1, by: world.processName});
        return await live.run(signal);
      } finally {
        console.close();
      }
    } finally {
      await replicating.close('stopped');
    }
  } finally {
    control.close();
  }
}

/** A new lineage's first generation is its recorder's. */
async function firstGeneration(
  world: World,
  spec: string,
  claim: {lineageId: Uint8Array; claimant: string},
): Promise<Arbiter> {
  const arbiter = await world.openArbiter(spec);
  const result = await arbiter.claim({
    lineageId: Buffer.from(claim.lineageId).toString('hex'),
    generation: 1,
    claimant: claim.claimant,
  });
  if (result.kind === 'lost')
    throw new FtvmError('lostArbitration', `generation 1 of a new lineage is taken by ${result.by}`);
  return arbiter;
}
