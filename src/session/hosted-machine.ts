// The machine as sessions run it: with the translator, whose compilations this host makes in a worker while the guest goes on.

import {readFileSync} from 'node:fs';
import {extname} from 'node:path';
import type {BaseImage, BootImages, MachineConfig} from '../emulator/config.ts';
import type {Engine} from '../emulator/hart/hart.ts';
import type {CompiledTranslation} from '../emulator/hart/translations.ts';
import {Machine} from '../emulator/machine.ts';
import type {Stop} from '../emulator/machine-interface.ts';
import type {TranslatorOptions} from '../emulator/wasm/interpreter.ts';
import type {TranslationRequest} from '../emulator/wasm/translate.ts';
import {lowerV8Threads} from '../host/background-threads.ts';
import {CompileClient, CompileThread} from '../host/compile-worker.ts';
import {fusesMultiplyAdd} from '../host/fused-multiply-add.ts';
import {setWasmFlags} from '../host/wasm-flags.ts';
import type {Work} from './translation-worker.ts';

/**
 * A place is translated when the interpreter has spent some 500,000 steps from there to the next one, which takes more than a millisecond. Generating, compiling and
 * optimising a region costs some ten milliseconds of CPU time, most of them in other threads.
 */
export const TRANSLATED_WHEN: TranslatorOptions = {period: 509, threshold: 1000};
/** Steps between two looks at the worker: a replay's slices may be long. */
const SERVE_STEPS = 1_000_000n;
/** Regions in one module. */
const BATCH = 16;
/** Modules under way: few, so that what has become hot since is not behind what was hot once. */
const OUTSTANDING_LIMIT = 3;

export class HostedMachine extends Machine {
  /** Of all machines of this process. */
  static #thread: CompileThread | undefined;
  /** Undefined until something is to be compiled. */
  #compiler: CompileClient<Work, CompiledTranslation> | undefined;
  #waiting: TranslationRequest[] = [];

  /** As Machine's. FTVM_ENGINE=interpreter in the environment does without the translator, for comparisons. */
  constructor(
    config: MachineConfig,
    images: BootImages,
    disks: readonly BaseImage[] = [],
    memory?: WebAssembly.Memory,
  ) {
    super(config, images, disks, HostedMachine.#engine(), memory);
  }

  override runUntil(position: bigint): Stop {
    for (;;) {
      this.#serve();
      const next = this.position + SERVE_STEPS;
      const stop = super.runUntil(next < position ? next : position);
      // It loads its program during the guest's first steps, and not before: what a boot does first is hot at once.
      if (this.translations !== undefined && this.position > 0n) HostedMachine.#translationThread();
      if (stop.kind !== 'reached' || this.position >= position) return stop;
    }
  }

  #serve(): void {
    const {translations} = this;
    if (translations === undefined) return;
    for (let result = this.#compiler?.poll(); result !== undefined; result = this.#compiler?.poll())
      translations.install(result);
    // Without its worker a guest is slower, and nothing else.
    if (this.#compiler?.hasFailed === true) return;
    while ((this.#compiler?.outstanding ?? 0) < OUTSTANDING_LIMIT) {
      if (this.#waiting.length === 0) this.#waiting = translations.takeRequests();
      if (this.#waiting.length === 0) return;
      this.#compiler ??= HostedMachine.#newCompiler();
      this.#compiler.post({requests: this.#waiting.splice(0, BATCH), arithmetic: translations.arithmetic});
    }
  }

  /** Not before something is to be translated: until then V8 mostly has the interpreter to optimise, without which nothing is fast. */
  static #newCompiler(): CompileClient<Work, CompiledTranslation> {
    lowerV8Threads();
    return new CompileClient(HostedMachine.#translationThread());
  }

  static #engine(): Engine {
    setWasmFlags();
    if (process.env['FTVM_ENGINE'] === 'interpreter') return {kind: 'interpreter'};
    const arithmetic = {fusesMultiplyAdd: fusesMultiplyAdd()};
    return {kind: 'translator', ...TRANSLATED_WHEN, interpreter: bundledInterpreter(), compiler: 'queue', arithmetic};
  }

  static #translationThread(): CompileThread {
    HostedMachine.#thread ??= new CompileThread(beside(`translation-worker${extname(import.meta.url)}`));
    return HostedMachine.#thread;
  }
}

/** The module of `TRANSLATED_WHEN` where it was generated with the program's files; whoever runs from source generates it. */
function bundledInterpreter(): Uint8Array<ArrayBuffer> | undefined {
  return extname(import.meta.url) === '.ts' ? undefined : readFileSync(beside('interpreter.wasm'));
}

/** A file in this one's folder. */
function beside(name: string): URL {
  return new URL(`./${name}`, import.meta.url);
}
