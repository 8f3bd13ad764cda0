// A primary with everything around it: its console, its control socket, its followers, and the ways in which it can be told to end.
// `record`, a promoted backup and a cold promotion all end up here.

import {FtvmError} from '../errors.ts';
import type {ControlReply, ControlRequest} from '../host/control-socket.ts';
import type {Primary} from '../session/primary.ts';
import type {SessionEnd} from '../session/session.ts';
import type {ChannelServer} from './channel-server.ts';

export type LiveRun = {end: SessionEnd; position: bigint; records: bigint};

export class LivePrimary {
  readonly #primary: Primary;
  readonly #channel: ChannelServer | undefined;
  readonly #note: (text: string) => void;
  #generation: number;

  constructor(parts: {
    primary: Primary;
    channel: ChannelServer | undefined;
    generation: number;
    note: (text: string) => void;
  }) {
    this.#primary = parts.primary;
    this.#channel = parts.channel;
    this.#note = parts.note;
    this.#generation = parts.generation;
    if (this.#channel !== undefined) {
      this.#channel.events = {
        changed: () => this.#primary.followersChanged(),
        backupJoined: (name) => this.#joined(name),
        backupLost: (name, reason) => this.#note(`backup lost: ${name}: ${reason}`),
        handOver: () => this.#primary.source.finish('handedOver'),
      };
    }
  }

  /** Runs the guest until it ends or is told to. */
  async run(signal: AbortSignal): Promise<LiveRun> {
    const stop = (): void => this.stop(signal.reason === 'SIGTERM' ? 'terminated' : 'stopped');
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    try {
      const end = await this.#primary.run();
      await this.#channel?.close(end.kind);
      return {end, position: this.#primary.machine.position, records: this.#primary.progress.writtenThrough};
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Ends the session; a terminated one hands over to a backup that is there. */
  stop(how: 'stopped' | 'terminated'): void {
    const handsOver = how === 'terminated' && this.#channel?.hasBackup === true;
    this.#primary.source.finish(handsOver ? 'handedOver' : 'stopped');
  }

  /** Answers the control socket. Throws FtvmError for what cannot be done. */
  async control(request: ControlRequest): Promise<ControlReply> {
    switch (request.command) {
      case 'status':
        return {ok: true, ...this.#status()};
      case 'promote': {
        if (this.#channel?.hasBackup !== true) {
          throw new FtvmError('alreadyRunning', 'this session is the primary already, and no backup follows it', {
            hint: 'Attach one first: ftvm tail tcp://HOST:PORT --follow. A dead primary is promoted from its log.',
          });
        }
        const {position} = this.#primary.machine;
        this.#primary.source.finish('handedOver');
        return {ok: true, role: 'handing over', position: String(position)};
      }
      default:
        return {ok: false, message: `a primary does not know the command ${request.command}`};
    }
  }

  #status(): Record<string, unknown> {
    const {writtenThrough, releasedThrough, emittedThrough} = this.#primary.progress;
    return {
      role: 'primary',
      generation: this.#generation,
      position: String(this.#primary.machine.position),
      writtenThrough: String(writtenThrough),
      unreleasedOutputs: String(emittedThrough - releasedThrough),
      followers: (this.#channel?.peers ?? []).map(({name, eligible, acknowledgedThrough, position}) => ({
        name,
        eligible,
        acknowledgedThrough: String(acknowledgedThrough),
        position: String(position),
      })),
    };
  }

  #joined(name: string): void {
    this.#note(`backup joined: ${name}`);
    const {machine, journal} = this.#primary;
    journal.appendRecord({kind: 'joined', position: machine.position, generation: this.#generation, backup: name});
    journal.flush();
  }
}
