// Which folder may import which (DESIGN 9), as data, and the check of a set of files against it. The table is the
// architecture: a new arrow is a decision, and belongs in docs/architecture.md as well.

import {posix} from 'node:path';
import {findImports, type ImportStatement, type SourceFile} from './source-scan.ts';

interface LayerRule {
  /** Layers of the source whose files it may import; 'types:' in front means `import type` only. */
  readonly layers: readonly string[];
  /** Single files of other layers. */
  readonly files?: readonly string[];
  readonly packages?: readonly string[];
  readonly node: boolean;
}

/** Layers are folders of src; inside the emulator they are its folders, with its top-level files as `emulator`. */
export const LAYER_RULES: Readonly<Record<string, LayerRule>> = {
  errors: {layers: [], node: false},
  commands: {
    layers: ['cli', 'session', 'replication', 'guests', 'errors'],
    packages: ['@oclif/core'],
    node: true,
  },
  cli: {layers: ['errors'], packages: ['@oclif/core', 'chalk', 'listr2'], node: true},
  guests: {layers: ['host', 'emulator', 'emulator/image', 'errors'], node: true},
  session: {layers: ['emulator', 'emulator/*', 'logformat', 'host', 'errors'], packages: ['hash-wasm'], node: true},
  replication: {
    layers: ['session', 'emulator', 'emulator/*', 'logformat', 'host', 'errors'],
    packages: ['@nats-io/jetstream', '@nats-io/transport-node'],
    node: true,
  },
  logformat: {layers: ['types:emulator', 'types:emulator/*', 'errors'], packages: ['cbor-x'], node: true},
  host: {layers: ['errors'], packages: ['koffi'], node: true},
  emulator: {layers: ['emulator/*', 'errors'], node: false},
  'emulator/isa': {layers: [], node: false},
  'emulator/wasm': {layers: ['emulator/isa', 'emulator', 'errors'], node: false},
  // The hart sees the bus and what is common to all devices, never one of them.
  'emulator/hart': {
    layers: ['emulator/isa', 'emulator/wasm', 'emulator', 'errors'],
    files: ['src/emulator/devices/bus.ts', 'src/emulator/devices/device.ts'],
    node: false,
  },
  'emulator/devices': {layers: ['emulator', 'errors'], node: false},
  'emulator/image': {layers: ['emulator', 'errors'], node: false},
};

/** Packages that one file only may know. */
export const SINGLE_IMPORTERS: Readonly<Record<string, RegExp>> = {
  chalk: /^src\/cli\/palette\.ts$/,
  '@nats-io/jetstream': /^src\/replication\/arbiter-nats\.ts$/,
  '@nats-io/transport-node': /^src\/replication\/arbiter-nats\.ts$/,
  'cbor-x': /^src\/logformat\/[a-z-]+\.ts$/,
};

/** Every violation in `files`, as `path:line: what`. Paths are relative to the repository's root, as in `SourceFile`. */
export function findImportViolations(files: readonly SourceFile[]): string[] {
  const violations: string[] = [];
  const importers = new Map<string, Set<string>>();
  const devices = new Set(files.filter(isDevice).map(({path}) => path));
  for (const file of files) {
    const layer = layerOf(file.path);
    const rule = LAYER_RULES[layer];
    if (rule === undefined) {
      violations.push(`${file.path}: the folder ${layer} is not in the table of import rules`);
      continue;
    }
    for (const statement of findImports(file.text)) {
      const reason = judge({file, layer, rule, statement, devices});
      if (reason !== undefined) violations.push(`${file.path}:${statement.line}: ${reason}`);
      const name = packageName(statement.specifier);
      if (name in SINGLE_IMPORTERS) importers.set(name, (importers.get(name) ?? new Set()).add(file.path));
    }
  }
  for (const [name, paths] of importers) {
    const pattern = SINGLE_IMPORTERS[name] as RegExp;
    const outside = [...paths].filter((path) => !pattern.test(path));
    if (outside.length > 0 || paths.size > 1)
      violations.push(`${name} is known to ${[...paths].join(', ')}, not to one file`);
  }
  return [...violations, ...findCycles(files)];
}

function judge(subject: {
  file: SourceFile;
  layer: string;
  rule: LayerRule;
  statement: ImportStatement;
  devices: ReadonlySet<string>;
}): string | undefined {
  const {file, layer, rule, statement, devices} = subject;
  const {specifier} = statement;
  if (specifier.startsWith('node:')) return rule.node ? undefined : `${layer} imports ${specifier}`;
  if (!specifier.startsWith('.')) {
    return rule.packages?.includes(packageName(specifier)) ? undefined : `${layer} imports the package ${specifier}`;
  }
  const target = resolve(file.path, specifier);
  if (!target.startsWith('src/')) return `${specifier} is outside src`;
  if (layer === 'emulator/devices' && devices.has(target)) return `a device sees another device, ${specifier}`;
  const targetLayer = layerOf(target);
  if (targetLayer === layer || rule.files?.includes(target)) return undefined;
  for (const entry of rule.layers) {
    const isTypeRule = entry.startsWith('types:');
    const allowed = isTypeRule ? entry.slice('types:'.length) : entry;
    const isMatch = allowed.endsWith('/*') ? targetLayer.startsWith(allowed.slice(0, -1)) : targetLayer === allowed;
    if (isMatch && (!isTypeRule || statement.isTypeOnly)) return undefined;
  }
  return `${layer} imports ${targetLayer} (${specifier})`;
}

/** `src/emulator/isa/x.ts` → `emulator/isa`; `src/cli/x.ts` → `cli`; `src/errors.ts` → `errors`. */
function layerOf(path: string): string {
  const parts = path.split('/').slice(1);
  if (parts.length === 1) return (parts[0] as string).replace(/\.ts$/, '');
  if (parts[0] === 'emulator' && parts.length > 2) return `emulator/${parts[1]}`;
  return parts[0] as string;
}

/** A file with a concrete class that implements `Device` (devices/device.ts) or extends its base; a base is a shared part. */
function isDevice({path, text}: SourceFile): boolean {
  if (!path.startsWith('src/emulator/devices/') || /\babstract class\b/.test(text)) return false;
  return /\bclass \w+[^{]*\b(?:implements [^{]*\bDevice\b|extends \w+)/.test(text);
}

/** Files that import each other at run time, one chain for each cycle found. */
function findCycles(files: readonly SourceFile[]): string[] {
  const edges = new Map(
    files.map(({path, text}) => [
      path,
      findImports(text)
        .filter(({specifier, isTypeOnly}) => specifier.startsWith('.') && !isTypeOnly)
        .map(({specifier}) => resolve(path, specifier)),
    ]),
  );
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start !== -1) {
      cycles.push(`cycle: ${[...trail.slice(start), path].join(' → ')}`);
      return;
    }
    if (done.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return cycles;
}

function resolve(importer: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(importer), specifier));
}

/** `@oclif/core/flags` → `@oclif/core`; `cbor-x/index` → `cbor-x`. */
function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
