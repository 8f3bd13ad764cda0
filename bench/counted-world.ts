// The real world, with a console that a scenario watches, a session that can be asked how it is, and a count of what a primary sends to
// its followers.

import type {Console} from '../src/host/console.ts';
import type {Link} from '../src/replication/link.ts';
import {encodeMessage, type Message} from '../src/replication/messages.ts';
import {nodeWorld} from '../src/replication/node-world.ts';
import type {SessionStatus} from '../src/replication/session-status.ts';
import type {World} from '../src/replication/world.ts';
import type {Scenario} from './scenario.ts';

export type PrimaryStatus = Extract<SessionStatus, {role: 'primary'}>;

export class CountedWorld {
  readonly world: World;
  /** Bytes of the channel's messages but for a joining follower's state; TCP's and IP's own are not counted. */
  sentBytes = 0;
  #ask: Parameters<World['control']>[1] | undefined;

  private constructor(world: World, scenario: Scenario) {
    this.world = {
      ...world,
      openConsole: () => new WatchedConsole(scenario),
      control: (path, handle) => {
        this.#ask = handle;
        return world.control(path, handle);
      },
      listen: (endpoint, onLink) => world.listen(endpoint, (link) => onLink(this.#counted(link))),
    };
  }

  static async open(scenario: Scenario): Promise<CountedWorld> {
    return new CountedWorld(await nodeWorld({secretPath: undefined, note: () => {}}), scenario);
  }

  /** Undefined until the session is there. */
  async status(): Promise<PrimaryStatus | undefined> {
    const reply = await this.#ask?.({command: 'status'});
    return reply?.ok === true ? (reply as unknown as PrimaryStatus) : undefined;
  }

  #counted(link: Link): Link {
    const send = link.send.bind(link);
    link.send = (message: Message) => {
      if (message.kind !== 'pages' && message.kind !== 'table') this.sentBytes += encodeMessage(message).length;
      send(message);
    };
    return link;
  }
}

/** A console that a scenario watches, and at which nobody types. */
export class WatchedConsole implements Console {
  readonly #scenario: Scenario;
  readonly pendingBytes = 0;
  readonly backlogBytes = 0;
  /** Somebody might still type: an idle guest is not stuck. */
  readonly ended = false;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
  }

  take(): Uint8Array {
    return new Uint8Array(0);
  }

  write(bytes: Uint8Array): void {
    this.#scenario.show(Buffer.from(bytes).toString('latin1'));
  }

  onInput(): void {}

  close(): void {}
}
