// What a running session says of itself when its control socket is asked for `status`. Positions and ordinals are decimal strings.

import {askSession} from './ask-session.ts';

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
      /** By the user. */
      paused: boolean;
      position: string;
      /** Ordinal of the last record in the log. */
      writtenThrough: string;
      unreleasedOutputs: number;
      /** Bytes of the log's records in this session, by what caused them. */
      bytesByCause: Record<string, number>;
      /** The last follower that took the state: how long the guest stood still for it, and for how many pages. Left out if none did. */
      lastState?: {follower: string; pauseMs: number; pages: number};
      followers: FollowerStatus[];
    }
  | {
      role: 'follower';
      generation: number;
      /** Whether it is the one whose acknowledgements gate outputs. */
      backup: boolean;
      primary: 'file' | 'connected' | 'lost';
      paused: boolean;
      position: string;
      digests: number;
    };

/** Asks the session that writes or follows this log. Throws FtvmError `peerVanished` when none runs. */
export async function askStatus(logPath: string): Promise<SessionStatus> {
  const {ok: _, ...status} = await askSession(logPath, {command: 'status'});
  return status as unknown as SessionStatus;
}
