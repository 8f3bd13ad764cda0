// The program of the thread that hashes: bytes in, which it shares, their SHA-256 out.

import {createHash} from 'node:crypto';
import {type MessagePort, workerData} from 'node:worker_threads';

const {port} = workerData as {port: MessagePort};

port.on('message', (bytes: Uint8Array) => port.postMessage(createHash('sha256').update(bytes).digest()));
