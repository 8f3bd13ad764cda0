// The kernel is asked for huge pages where a machine's memory is, and nowhere else.

import assert from 'node:assert/strict';
import {existsSync, readFileSync} from 'node:fs';
import {useHugePages} from '../../src/host/process-memory.ts';
import {skipUnless} from '../support/skip.ts';

const WASM_PAGE_BYTES = 65_536;

describe("a process's memory", () => {
  it('comes in huge pages where it is asked for', function () {
    skipUnless(this, existsSync('/sys/kernel/mm/transparent_hugepage'), 'this kernel has no transparent huge pages');
    const {buffer} = new WebAssembly.Memory({initial: 1024});
    assert.equal(advisedBytes(), 0);
    useHugePages(buffer);
    assert.equal(advisedBytes(), 1024 * WASM_PAGE_BYTES);
  });
});

/** Bytes of this process's mappings that have the flag. */
function advisedBytes(): number {
  const mappings = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const advised = mappings.filter((mapping) => /^VmFlags:.*\bhg\b/m.test(mapping));
  return 1024 * advised.reduce((sum, mapping) => sum + Number(/^Size:\s+(\d+) kB$/m.exec(mapping)?.[1]), 0);
}
