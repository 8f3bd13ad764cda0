// Asking the session that writes or follows a log, through its control socket.

import {existsSync} from 'node:fs';
import {FtvmError} from '../errors.ts';
import {
  askControl,
  type ControlReply,
  type ControlRequest,
  controlSocketPath,
  controlState,
} from '../host/control-socket.ts';

/** Undefined when no session runs. Throws FtvmError as the session that refuses says. */
export async function askIfRunning(logPath: string, request: ControlRequest): Promise<ControlReply | undefined> {
  for (const path of [controlSocketPath(logPath), controlSocketPath(`${logPath}.follower`)]) {
    if ((await controlState(path)) !== 'alive') continue;
    const reply = await askControl(path, request);
    if (!reply.ok) throw refused(reply);
    return reply;
  }
  return undefined;
}

/** Throws FtvmError `peerVanished` when no session runs, and as the session that refuses says. */
export async function askSession(logPath: string, request: ControlRequest): Promise<ControlReply> {
  const reply = await askIfRunning(logPath, request);
  if (reply !== undefined) return reply;
  throw new FtvmError('peerVanished', `no session writes or follows ${logPath}`, {
    hint: existsSync(logPath)
      ? 'The recorder is dead or ended: ftvm replay shows which, ftvm promote carries it on.'
      : 'There is no such file either.',
    details: {path: logPath},
  });
}

function refused(reply: ControlReply): FtvmError {
  const text = typeof reply['message'] === 'string' ? reply['message'] : 'the session refused';
  const hint = typeof reply['hint'] === 'string' ? {hint: reply['hint']} : {};
  const code = reply['code'];
  return new FtvmError(
    code === 'usage' || code === 'lostArbitration' || code === 'arbiterUnreachable' ? code : 'alreadyRunning',
    text,
    hint,
  );
}
