// Rebuilds the benchmark programs and writes programs.json: digests, checksums, and how many instructions each takes. Those on bare
// metal are counted by QEMU (-icount); the Linux program is run by it under Debian. The descriptions are kept by hand. Needs
// riscv64-linux-gnu-gcc, qemu-system-riscv64 and the guest `debian`.

import {execFileSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {findDebian, guestRunning, readDebianPrograms, stepsOf} from '../debian-guest.ts';
import {runQemu} from '../qemu-run.ts';

const folder = fileURLToPath(new URL('./', import.meta.url));
const manifestFile = join(folder, 'programs.json');
const manifest = JSON.parse(readFileSync(manifestFile, 'utf8'));
const counting = mkdtempSync(join(tmpdir(), 'ftvm-bench-'));
try {
  execFileSync(join(folder, 'build.sh'));
  execFileSync(join(folder, 'build.sh'), [counting, '-DCOUNT_INSTRUCTIONS']);
  for (const program of manifest.programs) {
    Object.assign(program, artefact(`bin/${program.name}.elf`));
    const machine = ['-machine', 'virt', '-cpu', 'rv64,h=off,zbc=off', '-icount', 'shift=0,sleep=off', '-bios', 'none'];
    const kernel = ['-kernel', join(counting, `${program.name}.elf`)];
    const output = execFileSync(
      'qemu-system-riscv64',
      [...machine, ...kernel, '-display', 'none', '-serial', 'stdio'],
      {
        encoding: 'utf8',
        input: '',
      },
    );
    const match = /^(\w+): instructions (\d+), checksum ([0-9a-f]{16})$/m.exec(output);
    if (match?.[1] !== program.name) throw new Error(`${program.name} printed ${output}`);
    program.instructions = Number(match![2]);
    program.checksum = match![3];
    console.log(match![0]);
  }
  await updateLinux(counting);
} finally {
  rmSync(counting, {recursive: true, force: true});
}
manifest.compiler = execFileSync('riscv64-linux-gnu-gcc', ['--version'], {encoding: 'utf8'}).split('\n')[0];
write();

function artefact(file: string): {file: string; sizeBytes: number; sha256: string} {
  const bytes = readFileSync(join(folder, file));
  return {file, sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex')};
}

async function updateLinux(scratch: string): Promise<void> {
  Object.assign(manifest.linux, artefact('bin/linux'));
  // Read again by what makes the guest, with checksums that match any.
  for (const program of manifest.linux.programs) program.checksum = '';
  write();
  const debian = await findDebian();
  if (debian === undefined) throw new Error('there is no guest debian: build it with `ftvm guest build debian`');
  const programs = readDebianPrograms();
  const {qemu} = guestRunning(programs, {debian, folder: scratch});
  const {signal} = new AbortController();
  const run = await runQemu(qemu, {mode: 'tcg', steps: stepsOf(programs), rrPath: '', signal});
  for (const program of manifest.linux.programs) {
    program.checksum = new RegExp(`^${program.name}: checksum ([0-9a-f]{16})`, 'm').exec(run.console)?.[1];
    if (program.checksum === undefined) throw new Error(`${program.name} is missing in ${run.console}`);
    console.log(`${program.name}: checksum ${program.checksum}`);
  }
}

function write(): void {
  writeFileSync(manifestFile, `${JSON.stringify(manifest, undefined, 2)}\n`);
}
