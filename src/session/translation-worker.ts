// The program of the worker that translates: requests in, compiled modules out. V8's baseline compiler makes them, fast; what stays
// hot V8 optimises by itself, in the background. Optimising everything costs 15 times the time, and most of it is never paid back.

import {setFlagsFromString} from 'node:v8';
import {type MessagePort, parentPort} from 'node:worker_threads';
import {type TranslationRequest, translate} from '../emulator/wasm/translate.ts';
import type {HostArithmetic} from '../emulator/wasm/translated-code.ts';
import {lowerThisThread} from '../host/background-threads.ts';

export type Work = {requests: readonly TranslationRequest[]; arithmetic: HostArithmetic};

lowerThisThread();

parentPort?.on('message', (port: MessagePort) => {
  port.on('message', ({requests, arithmetic}: Work) => {
    const {bytes, regions} = translate(requests, arithmetic);
    // The whole module now, here, not function by function where the guest waits. The flag is the whole process's.
    setFlagsFromString('--no-wasm-lazy-compilation');
    const module = new WebAssembly.Module(bytes);
    setFlagsFromString('--wasm-lazy-compilation');
    port.postMessage({module, regions});
  });
});
