// `record`, whole: the primary, its console, its control socket, its followers, and the ways in which it ends.

import {ProcessConsole} from '../host/console.ts';
import {ControlServer, controlSocketPath} from '../host/control-socket.ts';
import {NO_FOLLOWERS} from '../session/primary.ts';
import {type RecordOptions, startRecording} from '../session/recording.ts';
import type {SessionEnd} from '../session/session.ts';

export async function runRecording(
  options: Omit<RecordOptions, 'console' | 'followers'>,
  around: {listen: string | undefined; signal: AbortSignal; note: (text: string) => void},
): Promise<{end: SessionEnd; position: bigint; records: bigint}> {
  let stop = (): void => {};
  const console = new ProcessConsole({onEscape: () => stop()});
  try {
    const primary = await startRecording({...options, console, followers: NO_FOLLOWERS});
    stop = () => primary.source.finish('stopped');
    around.signal.addEventListener('abort', stop);
    if (around.signal.aborted) stop();
    const control = await ControlServer.listen(controlSocketPath(options.logPath), async () => ({ok: true}));
    try {
      const end = await primary.run();
      return {end, position: primary.machine.position, records: primary.progress.writtenThrough};
    } finally {
      control.close();
    }
  } finally {
    console.close();
  }
}
