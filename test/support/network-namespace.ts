// Network namespaces for tests: hosts, bridges and cables that nobody outside sees, with names of this process's own. Needs root. A
// namespace disappears with its `using` block, and with it all that is in there.

import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {closeSync, openSync} from 'node:fs';
import {Socket} from 'node:net';
import koffi from 'koffi';
import {hasCommand, skipUnless} from './skip.ts';

const CLONE_NEWNET = 0x40000000;
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;

/** Skips, loudly, where there may be no namespaces. */
export function needNamespaces(context: Mocha.Context): void {
  skipUnless(context, hasCommand('ip'), 'no network namespaces: ip is missing (Debian: iproute2)');
  const probe = `ftvm-${process.pid}-probe`;
  try {
    execFileSync('ip', ['netns', 'add', probe], {stdio: 'pipe'});
    execFileSync('ip', ['netns', 'del', probe], {stdio: 'pipe'});
  } catch (error) {
    skipUnless(context, false, `no network namespaces: ${(error as Error).message.trim()} (run the tests as root)`);
  }
}

export class NetworkNamespace implements Disposable {
  readonly name: string;

  /** `role` tells it from others of this process. */
  constructor(role: string) {
    this.name = `ftvm-${process.pid}-${role}`;
    execFileSync('ip', ['netns', 'add', this.name], {stdio: 'pipe'});
    this.ip('link set lo up');
  }

  /** Words in front of a command, so that it runs in here. */
  get prefix(): readonly string[] {
    return ['ip', 'netns', 'exec', this.name];
  }

  /** `ip` in here; several commands are separated by semicolons. */
  ip(commands: string): void {
    for (const command of commands.split(';')) {
      execFileSync('ip', ['-n', this.name, ...command.trim().split(/\s+/)], {stdio: 'pipe'});
    }
  }

  /** Runs a command in here to its end; what it printed. */
  run(command: readonly string[], input = ''): string {
    const [program, ...words] = [...this.prefix, ...command];
    return execFileSync(program, words, {input, encoding: 'utf8', stdio: 'pipe'});
  }

  spawn(command: readonly string[]): ChildProcess {
    const [program, ...words] = [...this.prefix, ...command];
    return spawn(program, words, {stdio: ['ignore', 'pipe', 'ignore']});
  }

  /** Puts this thread in here, until disposed of. */
  enter(): Disposable {
    const outside = openSync('/proc/thread-self/ns/net', 'r');
    const inside = openSync(`/run/netns/${this.name}`, 'r');
    setNamespace(inside);
    closeSync(inside);
    return {
      [Symbol.dispose]() {
        setNamespace(outside);
        closeSync(outside);
      },
    };
  }

  /** Sockets and devices that `open` opens, without waiting for anything, are in here for good. */
  inside<T>(open: () => T): T {
    using _inside = this.enter();
    return open();
  }

  /** A TCP connection from in here to an IPv4 address. */
  async connect(address: {host: string; port: number}): Promise<Socket> {
    const open = koffi.load(null).func('int socket(int domain, int type, int protocol)');
    const socket = new Socket({fd: this.inside(() => open(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))});
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve).once('error', reject);
      socket.setNoDelay(true).connect(address);
    });
    return socket;
  }

  [Symbol.dispose](): void {
    execFileSync('ip', ['netns', 'del', this.name], {stdio: 'pipe'});
  }
}

function setNamespace(fd: number): void {
  const setns = koffi.load(null).func('int setns(int fd, int type)');
  if (setns(fd, CLONE_NEWNET) < 0) throw new Error(`setns: errno ${koffi.errno()}`);
}
