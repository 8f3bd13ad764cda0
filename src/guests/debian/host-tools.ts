// What building a Debian guest needs of the host: apt, dpkg-deb, Debian's archive keyring, and a mirror. The mirror is the one
// that the machine's own apt is set up with; no mirror is ever named here.

import {existsSync} from 'node:fs';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {FtvmError} from '../../errors.ts';
import {runTool, type ToolResult} from '../subprocess.ts';

/** The keyring of package debian-archive-keyring; the name's end changed with Debian 13. */
const KEYRINGS = ['/usr/share/keyrings/debian-archive-keyring.pgp', '/usr/share/keyrings/debian-archive-keyring.gpg'];
const REQUIRED_TOOLS = ['apt-get', 'apt-cache', 'dpkg-deb'];

export type HostTools = {
  /** Path of Debian's archive keyring. */
  keyring: string;
  /** Base addresses of the mirrors that apt uses here, the likeliest to be Debian's first. */
  mirrors: string[];
};

/** Finds all of it. Throws FtvmError `unsupportedHost` where something is missing. */
export async function findHostTools(): Promise<HostTools> {
  for (const tool of REQUIRED_TOOLS) {
    if (await isMissing(tool)) {
      throw unsupported(`this host has no ${tool}`);
    }
  }
  const keyring = KEYRINGS.find((path) => existsSync(path));
  if (keyring === undefined) {
    throw unsupported("this host has no keyring of Debian's archive", 'Install the package debian-archive-keyring.');
  }
  const mirrors = await findMirrors();
  if (mirrors.length === 0) {
    throw unsupported(
      "this host's apt is set up with no Debian mirror",
      'Add a Debian mirror to /etc/apt/sources.list.d.',
    );
  }
  return {keyring, mirrors};
}

async function isMissing(tool: string): Promise<boolean> {
  try {
    await runTool(tool, ['--version']);
    return false;
  } catch {
    return true;
  }
}

/** Asks apt what it would fetch for an update with no lists at hand; nothing is fetched. */
async function findMirrors(): Promise<string[]> {
  const lists = await mkdtemp(join(tmpdir(), 'ftvm-lists-'));
  let result: ToolResult;
  try {
    result = await runTool('apt-get', ['-o', `Dir::State::Lists=${lists}`, '--print-uris', 'update']);
  } finally {
    await rm(lists, {recursive: true, force: true});
  }
  return mirrorsOf(result.stdout);
}

/**
 * The base addresses in the output of `apt-get --print-uris update`, each once: those with a component "main" first, as Debian
 * has one and few others do. The archives of security updates and backports hold no whole release and are left out.
 */
export function mirrorsOf(printedUris: string): string[] {
  const likely = new Set<string>();
  const others = new Set<string>();
  for (const match of printedUris.matchAll(/^'([^']+?)\/dists\/([^/']+)(\/[^']*)?'/gm)) {
    const [, base, suite, rest = ''] = match as unknown as [string, string, string, string?];
    if (/-(security|updates|backports|proposed)/.test(suite) || base.endsWith('-security')) continue;
    (rest.startsWith('/main/') ? likely : others).add(base);
  }
  return [...new Set([...likely, ...others])];
}

function unsupported(what: string, hint?: string): FtvmError {
  return new FtvmError('unsupportedHost', `cannot build a Debian guest: ${what}`, {
    hint:
      hint ?? 'Build the guest on Debian or a derivative, then copy its folder from ~/.cache/ftvm/guests to this host.',
  });
}
