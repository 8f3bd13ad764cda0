// `record`, whole.

import {ProcessConsole} from '../host/console.ts';
import {ControlServer, controlSocketPath} from '../host/control-socket.ts';
import {NO_FOLLOWERS} from '../session/primary.ts';
import {type RecordOptions, startRecording} from '../session/recording.ts';
import {ChannelServer} from './channel-server.ts';
import {formatEndpoint, parseEndpoint} from './endpoint.ts';
import {LivePrimary, type LiveRun} from './live-run.ts';

export async function runRecording(
  options: Omit<RecordOptions, 'console' | 'followers' | 'lineageId'>,
  around: {listen: string | undefined; signal: AbortSignal; note: (text: string) => void},
): Promise<LiveRun> {
  const {note, signal} = around;
  const endpoint = around.listen === undefined ? undefined : parseEndpoint(around.listen, '--listen');
  const lineageId = crypto.getRandomValues(new Uint8Array(16));
  let live: LivePrimary | undefined;
  const control = await ControlServer.listen(controlSocketPath(options.logPath), async (request) =>
    live === undefined ? {ok: false, message: 'the session is starting'} : live.control(request),
  );
  try {
    const channel =
      endpoint === undefined ? undefined : await ChannelServer.listen(endpoint, {logPath: options.logPath, lineageId});
    try {
      if (channel !== undefined && endpoint !== undefined)
        note(`listening on ${formatEndpoint({host: endpoint.host, port: channel.port})}`);
      const console = new ProcessConsole({onEscape: () => live?.stop('stopped')});
      try {
        const primary = await startRecording({...options, lineageId, console, followers: channel ?? NO_FOLLOWERS});
        live = new LivePrimary({primary, channel, generation: 1, note});
        return await live.run(signal);
      } finally {
        console.close();
      }
    } finally {
      await channel?.close('stopped');
    }
  } finally {
    control.close();
  }
}
