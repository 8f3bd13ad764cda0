// The part of the WebAssembly JavaScript interface that is used here; TypeScript has it only in the browser's library.

declare namespace WebAssembly {
  class Memory {
    constructor(descriptor: {initial: number; maximum?: number});
    readonly buffer: ArrayBuffer;
  }
  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>);
  }
  class Instance {
    constructor(module: Module, imports: Record<string, Record<string, unknown>>);
    readonly exports: Record<string, (...args: never[]) => unknown>;
  }
}
