// Rebuilds the benchmark programs and writes programs.json: digests, checksums, and how many instructions each takes, as QEMU
// counts them (-icount). The descriptions are kept by hand. Needs riscv64-linux-gnu-gcc and qemu-system-riscv64.

import {execFileSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';

const folder = fileURLToPath(new URL('./', import.meta.url));
const manifestFile = join(folder, 'programs.json');
const manifest = JSON.parse(readFileSync(manifestFile, 'utf8'));
const counting = mkdtempSync(join(tmpdir(), 'ftvm-bench-'));
try {
  execFileSync(join(folder, 'build.sh'));
  execFileSync(join(folder, 'build.sh'), [counting, '-DCOUNT_INSTRUCTIONS']);
  for (const program of manifest.programs) {
    program.file = `bin/${program.name}.elf`;
    const bytes = readFileSync(join(folder, program.file));
    program.sizeBytes = bytes.length;
    program.sha256 = createHash('sha256').update(bytes).digest('hex');
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
} finally {
  rmSync(counting, {recursive: true, force: true});
}
manifest.compiler = execFileSync('riscv64-linux-gnu-gcc', ['--version'], {encoding: 'utf8'}).split('\n')[0];
writeFileSync(manifestFile, `${JSON.stringify(manifest, undefined, 2)}\n`);
