// The real world, by Node. What reaches other hosts is loaded when it is first asked for, long before a takeover: a recording that nobody
// follows starts without it.

import {randomBytes, randomUUID} from 'node:crypto';
import {hostname} from 'node:os';
import {ProcessConsole} from '../host/console.ts';
import {ControlServer, controlSocketPath} from '../host/control-socket.ts';
import {formatEndpoint} from '../host/endpoint.ts';
import {returnFreeMemory} from '../host/free-memory.ts';
import {LogFileReader, LogFileWriter} from '../host/log-file.ts';
import {HOST_CLOCK} from '../host/monotonic-clock.ts';
import {loadMachine} from '../session/loaded-machine.ts';
import type {World} from './world.ts';

const CONNECT_TIMEOUT_MS = 5000;

/** `secretPath`: the file with the secret that both hosts share; without it channels stay on the loopback. Throws FtvmError `usage`. */
export async function nodeWorld(options: {
  secretPath: string | undefined;
  note: (text: string) => void;
}): Promise<World> {
  const {secretPath, note} = options;
  const secret =
    secretPath === undefined ? undefined : await (await import('../host/secret-file.ts')).readSecretFile(secretPath);
  return {
    clock: HOST_CLOCK,
    nowMs: () => performance.now(),
    entropy: (lengthBytes) => new Uint8Array(randomBytes(lengthBytes)),
    uniqueId: () => randomUUID(),
    processName: `${hostname()} pid ${process.pid}`,
    secret,
    async connect(endpoint) {
      const {connectSecurely} = await import('../host/secure-stream.ts');
      const {SocketLink} = await import('./link.ts');
      const socket = await connectSecurely(endpoint, {secret, timeoutMs: CONNECT_TIMEOUT_MS});
      return new SocketLink(socket, formatEndpoint(endpoint));
    },
    async listen(endpoint, onLink) {
      const {listenSecurely} = await import('../host/secure-stream.ts');
      const {SocketLink} = await import('./link.ts');
      return listenSecurely(endpoint, {
        secret,
        onConnection: (socket, peer) => onLink(new SocketLink(socket, peer)),
        onStranger: ({peer, reason}) => note(`stranger refused: ${peer}: ${reason}`),
      });
    },
    async openDatagrams(at, onDatagram) {
      const {openDatagrams} = await import('../host/datagrams.ts');
      return openDatagrams(at, onDatagram);
    },
    createLog: (path, options) => LogFileWriter.create(path, options),
    continueLog: (path, options) => LogFileWriter.continue(path, options),
    readLog: (path, options) => LogFileReader.open(path, options),
    async openArbiter(spec) {
      const {openArbiter} = await import('./arbiter-spec.ts');
      return openArbiter(spec);
    },
    openConsole: (onEscape) => new ProcessConsole({onEscape}),
    returnMemory: returnFreeMemory,
    async openNic(address) {
      const {openNic} = await import('../host/nic/open-nic.ts');
      return openNic(address, {secret, note});
    },
    control: (path, handle) => ControlServer.listen(controlSocketPath(path), handle),
    async askIfRunning(...session) {
      const {askIfRunning} = await import('./ask-session.ts');
      return askIfRunning(...session);
    },
    async buildMachine(header, {path, paths}) {
      const {machine, disks} = await loadMachine(header, {logPath: path, paths});
      return {
        machine,
        close() {
          for (const disk of disks) disk.close();
        },
      };
    },
  };
}
