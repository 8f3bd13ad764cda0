// A real terminal (tmux): every key reaches the guest, but Ctrl-A, which starts an escape as in QEMU; and the terminal is as it was
// when the session has ended.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import {debianGuest, GUEST_BUILD_TIMEOUT_MS} from '../guests/debian-guest.ts';
import {TemporaryFolder} from '../support/ftvm.ts';
import {hasCommand, skipUnless} from '../support/skip.ts';
import {recordsOfKind, replayMustBeIdentical} from './ftvm-cli.ts';

const ENTRY_POINT = fileURLToPath(new URL('../../bin/run.js', import.meta.url));

describe('a terminal', function () {
  this.timeout(120_000);

  before(function () {
    skipUnless(this, hasCommand('tmux'), 'tmux is not installed (Debian: tmux)');
  });

  it('hands every key to the guest; Ctrl-A h helps, Ctrl-A Ctrl-A is Ctrl-A, Ctrl-A x ends the session', async () => {
    using folder = new TemporaryFolder();
    using terminal = new Terminal(folder);
    const logPath = folder.join('run.ftlog');
    terminal.run(`record echo -o ${logPath}`);
    await terminal.shows(/> $/m);
    terminal.press('Up', 'Down', 'Left', 'Right');
    await terminal.shows(/<up><down><left><right>/);
    terminal.type('abandoned');
    terminal.press('C-c');
    await terminal.shows(/abandoned\^C/);
    terminal.type('abxc');
    terminal.press('BSpace', 'BSpace');
    terminal.type('c');
    terminal.press('Enter');
    await terminal.shows(/^echo: abc$/m);
    terminal.press('C-a', 'h');
    await terminal.shows(/^Ctrl-A x +end the session$/m);
    // Ctrl-Z, Ctrl-\\ and Ctrl-D are keys like any other.
    terminal.press('C-z', 'C-\\', 'C-d', 'C-a', 'C-a', 'Enter');
    await terminal.shows(/^> $/m);
    terminal.press('C-a', 'x');
    await terminal.shows(/^exit 0$/m);
    await terminal.shows(/^icanon echo$/m);

    const typed = recordsOfKind(logPath, 'input').flatMap(({input}) =>
      input.kind === 'console' ? [...input.bytes] : [],
    );
    const keys = Buffer.from(typed).toString('latin1');
    assert.equal(keys, '\x1b[A\x1b[B\x1b[D\x1b[Cabandoned\x03abxc\x7f\x7fc\r\x1a\x1c\x04\x01\r');
    assert.deepEqual(
      recordsOfKind(logPath, 'end').map(({reason}) => reason),
      ['stopped'],
    );
    await replayMustBeIdentical(logPath);
  });

  it('is given back as it was when the session is terminated', async () => {
    using folder = new TemporaryFolder();
    using terminal = new Terminal(folder);
    terminal.run(`record counter -o ${folder.join('run.ftlog')}`);
    await terminal.shows(/line 000003/);
    process.kill(recordsOfKind(folder.join('run.ftlog'), 'header')[0].host.pid, 'SIGTERM');
    await terminal.shows(/^exit 143$/m);
    await terminal.shows(/^icanon echo$/m);
  });

  describe('with Debian', function () {
    this.timeout(GUEST_BUILD_TIMEOUT_MS);

    before(async function () {
      await debianGuest(this);
    });

    it('has its history by arrow keys, and Ctrl-C ends a command, not the session', async () => {
      using folder = new TemporaryFolder();
      using terminal = new Terminal(folder);
      const logPath = folder.join('run.ftlog');
      terminal.run(`record debian -o ${logPath}`);
      await terminal.shows(/^root@debian:~# $/m, 60_000);
      terminal.type('echo $((6*7)) times');
      terminal.press('Enter');
      await terminal.shows(/^42 times$/m);
      terminal.press('Up', 'Left', 'BSpace', 'BSpace', 'BSpace', 'BSpace');
      terminal.type('hou');
      terminal.press('Enter');
      await terminal.shows(/^42 hous$/m);
      terminal.type('sleep 1000');
      terminal.press('Enter');
      await sleep(300);
      terminal.press('C-c');
      await terminal.shows(/sleep 1000\n\^C\n(?:.*\n)*root@debian:~# $/m);
      terminal.press('C-a', 'x');
      await terminal.shows(/^exit 0$/m);
      await replayMustBeIdentical(logPath);
    });
  });
});

/** A terminal of 120 columns with a shell of its own, which disappears with its `using` block. */
class Terminal implements Disposable {
  readonly #socket: string;

  constructor(folder: TemporaryFolder) {
    this.#socket = folder.join('tmux');
    this.#tmux('-f', '/dev/null', 'new-session', '-d', '-x', '120', '-y', '50', 'env NO_COLOR=1 PS1="$ " sh -i');
  }

  /** Runs ftvm, then prints its exit code and whether the terminal is as before. */
  run(command: string): void {
    const flags = `stty -a | tr ' ;' '\\n\\n' | grep -x 'icanon\\|echo' | sort -r | tr '\\n' ' ' | sed 's/ $//'`;
    this.type(`clear; "${process.execPath}" "${ENTRY_POINT}" ${command}; echo exit $?; ${flags}; echo`);
    this.press('Enter');
  }

  /** Keys by tmux's names: `C-c`, `Up`, `Enter`. */
  press(...keys: string[]): void {
    this.#tmux('send-keys', ...keys);
  }

  type(text: string): void {
    this.#tmux('send-keys', '-l', text);
  }

  async shows(pattern: RegExp, timeoutMs = 20_000): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const screen = this.#screen();
      if (pattern.test(screen)) return;
      if (performance.now() > deadlineMs) throw new Error(`the terminal does not show ${pattern}:\n${screen}`);
      await sleep(20);
    }
  }

  [Symbol.dispose](): void {
    this.#tmux('kill-server');
  }

  /** Lines with the blanks at their ends as they are after a prompt, and none after the last. */
  #screen(): string {
    return this.#tmux('capture-pane', '-p', '-N').replace(/ +$/gm, ' ').trimEnd() + ' ';
  }

  #tmux(...argv: string[]): string {
    const {TMUX: _outer, ...environment} = process.env;
    return execFileSync('tmux', ['-S', this.#socket, ...argv], {encoding: 'utf8', env: environment});
  }
}
