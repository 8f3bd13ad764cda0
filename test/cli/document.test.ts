// docs/cli.md, `--help` and EXIT_CODES say the same: every command and flag is documented under its own heading, nothing is
// documented that is not there, and the table of exit codes is the program's.

import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {EXIT_CODES} from '../../src/errors.ts';

type CommandClass = {
  summary?: string;
  flags?: Record<string, {char?: string; description?: string; allowNo?: boolean; options?: string[]}>;
  examples?: string[];
};

const root = fileURLToPath(new URL('../..', import.meta.url));
const document = readFileSync(join(root, 'docs/cli.md'), 'utf8');
/** What plugins and oclif itself bring. */
const PLUGIN_COMMANDS: Readonly<Record<string, readonly string[]>> = {autocomplete: ['refresh-cache']};
const GLOBAL_FLAGS = ['help', 'version', 'json'];
/** Explained once for all commands. */
const SHARED_FLAGS = ['kernel', 'bios', 'initrd', 'disk'];

async function readCommands(): Promise<Map<string, CommandClass>> {
  const folder = join(root, 'src/commands');
  const commands = new Map<string, CommandClass>();
  for (const path of readdirSync(folder, {recursive: true, encoding: 'utf8'}).filter((name) => name.endsWith('.ts'))) {
    const module = (await import(join(folder, path))) as {default: CommandClass};
    commands.set(path.replace(/\.ts$/, '').replaceAll('/', ' '), module.default);
  }
  return commands;
}

/** The text under `## ftvm NAME`, by name. */
function readSections(text: string): Map<string, string> {
  const parts = text.split(/^## /m).slice(1);
  return new Map(
    parts.flatMap((part) => {
      const name = /^ftvm ([a-z -]+)\n/.exec(part)?.[1];
      return name === undefined ? [] : [[name, part] as const];
    }),
  );
}

/** What of `commands` the text does not say, and what it says beside. */
function compare(commands: ReadonlyMap<string, CommandClass>, text: string): string[] {
  const sections = readSections(text);
  const faults: string[] = [];
  for (const name of sections.keys())
    if (!commands.has(name) && !(name in PLUGIN_COMMANDS)) faults.push(`there is no command ${name}`);
  for (const name of [...commands.keys(), ...Object.keys(PLUGIN_COMMANDS)]) {
    const section = sections.get(name);
    if (section === undefined) {
      faults.push(`no section for ${name}`);
      continue;
    }
    const flags = commands.get(name)?.flags ?? {};
    const has = (flag: string): boolean => new RegExp(`(?<![\\w-])${flag}(?![\\w-])`).test(section);
    for (const [flag, {char, allowNo, options}] of Object.entries(flags)) {
      if (!has(`--${flag}`)) faults.push(`${name}: nothing of --${flag}`);
      if (char !== undefined && !has(`-${char}`)) faults.push(`${name}: nothing of -${char}`);
      if (allowNo && !has(`--no-${flag}`)) faults.push(`${name}: nothing of --no-${flag}`);
      for (const option of options ?? []) if (!section.includes(option)) faults.push(`${name}: nothing of ${option}`);
    }
    const known = new Set([
      ...Object.entries(flags).flatMap(([flag, {allowNo}]) => (allowNo ? [flag, `no-${flag}`] : [flag])),
      ...(PLUGIN_COMMANDS[name] ?? []),
      ...GLOBAL_FLAGS,
    ]);
    // The tables' first column is about this command; the text around may mention others.
    const documented = [...section.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell]) => [
      ...cell.matchAll(/--([a-z-]+)/g),
    ]);
    for (const [, flag] of documented) if (!known.has(flag)) faults.push(`${name}: there is no --${flag}`);
  }
  return faults;
}

describe('docs/cli.md', () => {
  it('has every command and flag, and no other', async () => {
    const commands = await readCommands();
    assert.ok(commands.size >= 9);
    assert.deepEqual(compare(commands, document), []);
  });

  it('would not pass with a flag missing, or one too many', async () => {
    const commands = await readCommands();
    assert.deepEqual(compare(commands, document.replaceAll('--save-state', '--save')), [
      'replay: nothing of --save-state',
      'replay: there is no --save',
    ]);
    assert.deepEqual(compare(commands, document.replace('## ftvm status', '## ftvm state')), [
      'there is no command state',
      'no section for status',
    ]);
  });

  it('has the exit codes of the program', () => {
    const rows = [...document.matchAll(/^\| (\d+) \| `(\w+)` \|/gm)].map(([, code, name]) => [name, Number(code)]);
    assert.deepEqual(Object.fromEntries(rows), EXIT_CODES);
    assert.equal(rows.length, Object.keys(EXIT_CODES).length);
  });
});

describe('the help texts', () => {
  it('are all of one style', async () => {
    const faults: string[] = [];
    for (const [name, {summary = '', flags = {}, examples = []}] of await readCommands()) {
      if (!/^[A-Z][^\n]*\.$/.test(summary)) faults.push(`${name}: the summary is no sentence`);
      if (examples.length === 0) faults.push(`${name}: no example`);
      for (const example of examples) {
        if (!example.startsWith(`<%= config.bin %> ${name}`)) faults.push(`${name}: an example of something else`);
      }
      for (const [flag, {description = ''}] of Object.entries(flags)) {
        if (!/^[^A-Z].*[^.]$|^Debian /.test(description)) faults.push(`${name}: --${flag}: "${description}"`);
      }
    }
    assert.deepEqual(faults, []);
  });

  it('name every flag and keep within 80 columns', async function () {
    this.timeout(60_000);
    for (const [name, {flags = {}}] of await readCommands()) {
      const {status, stdout} = spawnSync(process.execPath, [join(root, 'bin/run.js'), ...name.split(' '), '--help'], {
        encoding: 'utf8',
        env: {...process.env, COLUMNS: '80'},
      });
      assert.equal(status, 0, name);
      for (const [flag, {allowNo}] of Object.entries(flags))
        assert.ok(stdout.includes(allowNo ? `--[no-]${flag}` : `--${flag}`), `${name} --${flag}`);
      const text = stdout.slice(0, stdout.indexOf('EXAMPLES')).split('\n').slice(1);
      assert.deepEqual(
        text.filter((line) => line.length > 80),
        [],
        name,
      );
    }
  });

  it('shared flags mean the same everywhere', async () => {
    const meanings = new Map<string, Set<string>>();
    for (const [name, {flags = {}}] of await readCommands()) {
      for (const flag of SHARED_FLAGS) {
        const description = flags[flag]?.description;
        if (name === 'record' || description === undefined) continue;
        meanings.set(flag, (meanings.get(flag) ?? new Set()).add(description));
      }
    }
    assert.deepEqual(
      [...meanings.values()].map(({size}) => size),
      [1, 1, 1, 1],
    );
  });
});
