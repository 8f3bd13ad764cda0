// Which form of the program is loaded: src/, or dist/, which is the same in few files that load in a fraction of the time. dist/ is taken if it
// was made of the sources that are there, by size and time of change of each file, as git tells; and where there are no sources. FTVM_FROM_SOURCE=1 in
// the environment takes src/ in any case.

import {readdirSync, readFileSync, statSync} from 'node:fs';

/** What besides src/ dist/ is made of and by. */
const OTHERS = ['package.json', 'package-lock.json', 'bin/sources.js', 'build/bundle.ts', 'build/dist.ts'];

/** `root` is the folder of package.json, with a slash at its end. */
export function programFolder(root) {
  if (!isThere(`${root}src`)) return 'dist';
  if (process.env.FTVM_FROM_SOURCE !== undefined || !isThere(`${root}dist/SOURCES`)) return 'src';
  return readFileSync(`${root}dist/SOURCES`, 'utf8') === describeSources(root) ? 'dist' : 'src';
}

/** What dist/SOURCES says: a line a file, path, bytes, and milliseconds. */
export function describeSources(root) {
  const lines = [...filesOf(root, 'src'), ...OTHERS].map((path) => {
    const {size, mtimeMs} = statSync(root + path, {throwIfNoEntry: false}) ?? {};
    return `${path} ${size} ${mtimeMs}\n`;
  });
  return lines.join('');
}

/** Not by `recursive`, which takes ten times as long; nor is asked what is a folder: nothing else is without a dot. */
function filesOf(root, folder) {
  const paths = readdirSync(root + folder).map((name) => `${folder}/${name}`);
  return paths.flatMap((path) => (path.includes('.') ? [path] : filesOf(root, path)));
}

function isThere(path) {
  return statSync(path, {throwIfNoEntry: false}) !== undefined;
}
