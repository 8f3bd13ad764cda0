// Whatever a document of ours links to is there: files relative to the document, and headings inside it.

import assert from 'node:assert/strict';
import {existsSync} from 'node:fs';
import {posix} from 'node:path';
import {fileURLToPath} from 'node:url';
import {readSources, type SourceFile} from './source-scan.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{Letter}\p{Number} _-]/gu, '')
    .replaceAll(' ', '-');
}

function findBrokenLinks({path, text}: SourceFile, exists: (path: string) => boolean): string[] {
  const prose = text.replaceAll(/^```.*?^```/gms, '').replaceAll(/`[^`\n]*`/g, '');
  const anchors = new Set([...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchorOf(heading)));
  const targets = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target);
  return targets
    .filter((target) => {
      if (/^https?:/.test(target)) return false;
      if (target.startsWith('#')) return !anchors.has(target.slice(1));
      return !exists(posix.normalize(posix.join(posix.dirname(path), target.split('#')[0])));
    })
    .map((target) => `${path}: ${target}`);
}

describe('links', () => {
  it('lead somewhere', () => {
    const documents = readSources(['README.md', 'docs', 'fixtures', 'test', 'bench'], (path) => path.endsWith('.md'));
    assert.ok(documents.length > 10);
    assert.deepEqual(
      documents.flatMap((document) => findBrokenLinks(document, (path) => existsSync(`${root}/${path}`))),
      [],
    );
  });

  it('that lead nowhere are noticed', () => {
    const text = '# One heading\n[a](b.md) [c](#one-heading) [d](#two) [e](../x/y.md#z) [f](https://example.org)\n';
    assert.deepEqual(
      findBrokenLinks({path: 'docs/a.md', text}, (path) => path === 'x/y.md'),
      ['docs/a.md: b.md', 'docs/a.md: #two'],
    );
  });
});
