// What a running session says of itself when its control socket is asked for `status`. Positions and ordinals are decimal strings.

import {existsSync} from 'node:fs';
import {FtvmError} from '../errors.ts';
import {askControl, controlSocketPath, controlState} from '../host/control-socket.ts';

export type FollowerStatus = {
  name: string;
  /** Its acknowledgements gate outputs. */
  eligible: boolean;
  acknowledgedThrough: string;
  position: string;
  lagSteps: number;
  lagMs: number;
  /** How long ago it was heard over the channel; by a heartbeat datagram: left out if never. */
  channelSilentMs: number;
  datagramsSilentMs?: number;
};

export type SessionStatus =
  | {
      role: 'primary';
      generation: number;
      /** `alone`, `protected` by a backup, `removing` one, `unconfirmed` after a stand-still, `superseded`. */
      standing: string;
      position: string;
      /** Ordinal of the last record in the log. */
      writtenThrough: string;
      unreleasedOutputs: number;
      /** Bytes of the log's records in this session, by what caused them. */
      bytesByCause: Record<string, number>;
      followers: FollowerStatus[];
    }
  | {
      role: 'follower';
      generation: number;
      /** Whether it is the one whose acknowledgements gate outputs. */
      backup: boolean;
      primary: 'file' | 'connected' | 'lost';
      position: string;
      digests: number;
    };

/** Asks the session that writes or follows this log. Throws FtvmError `peerVanished` when none runs. */
export async function askStatus(logPath: string): Promise<SessionStatus> {
  for (const path of [controlSocketPath(logPath), controlSocketPath(`${logPath}.follower`)]) {
    if ((await controlState(path)) !== 'alive') continue;
    const {ok, ...status} = await askControl(path, {command: 'status'});
    if (!ok)
      throw new FtvmError(
        'alreadyRunning',
        typeof status['message'] === 'string' ? status['message'] : 'the session is starting',
      );
    return status as unknown as SessionStatus;
  }
  throw new FtvmError('peerVanished', `no session writes or follows ${logPath}`, {
    hint: existsSync(logPath)
      ? 'The recorder is dead or ended: ftvm replay shows which, ftvm promote carries it on.'
      : 'There is no such file either.',
    details: {path: logPath},
  });
}
