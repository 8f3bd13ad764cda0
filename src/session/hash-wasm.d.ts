// The one algorithm that is needed, which hash-wasm has in a file of its own. Its index, with all of them, is ten times as long.

declare module 'hash-wasm/dist/xxhash128.umd.min.js' {
  const hashes: Pick<typeof import('hash-wasm'), 'createXXHash128'>;
  export = hashes;
}
