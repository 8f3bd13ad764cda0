// `record`, whole.

import {randomBytes} from 'node:crypto';
import {FtvmError} from '../errors.ts';
import {type RecordOptions, startRecording} from '../session/recording.ts';
import type {Arbiter} from './arbiter.ts';
import {parseEndpoint} from './endpoint.ts';
import {LivePrimary, type LiveRun, Replicating} from './live-run.ts';
import {derivedMac, openNics, parseNicSpec} from './nic-spec.ts';
import type {Timing} from './timing.ts';
import type {World} from './world.ts';

/** The board has eight virtio slots; disks and the entropy device take theirs. */
const MAX_NICS = 4;

export async function runRecording(
  world: World,
  options: Omit<RecordOptions, 'console' | 'followers' | 'lineageId' | 'nics'>,
  around: {
    listen: string | undefined;
    net: readonly string[];
    timing: Timing;
    signal: AbortSignal;
    note: (text: string) => void;
  },
): Promise<LiveRun> {
  const {note, signal, timing} = around;
  const listen = around.listen === undefined ? undefined : parseEndpoint(around.listen, '--listen');
  const specs = around.net.map(parseNicSpec);
  if (specs.length > MAX_NICS)
    throw new FtvmError('usage', `--net is given ${specs.length} times: ${MAX_NICS} at most`);
  if (specs.length > 0 && options.clock === 'virtual') {
    throw new FtvmError('usage', '--net and --clock virtual exclude each other', {
      hint: 'Packets come when they come: a run with a network follows the real time.',
    });
  }
  const lineageId = new Uint8Array(randomBytes(16));
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
      const ports = await openNics(world, specs);
      const console = world.openConsole(() => live?.stop('stopped'));
      try {
        const nics = ports.map((nic, index) => ({nic, mac: specs[index].mac ?? derivedMac(lineageId, index)}));
        const primary = await startRecording({...options, lineageId, console, nics, followers: replicating.followers});
        live = new LivePrimary({primary, replicating, generation: 1, by: world.processName});
        return await live.run(signal);
      } finally {
        console.close();
        for (const nic of ports) nic.close();
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
