// The real world, by Node.

import {randomBytes} from 'node:crypto';
import {hostname} from 'node:os';
import {ProcessConsole} from '../host/console.ts';
import {ControlServer, controlSocketPath} from '../host/control-socket.ts';
import {openDatagrams} from '../host/datagrams.ts';
import {formatEndpoint} from '../host/endpoint.ts';
import {LogFileReader, LogFileWriter} from '../host/log-file.ts';
import {HOST_CLOCK} from '../host/monotonic-clock.ts';
import {openNic} from '../host/nic/open-nic.ts';
import {returnFreeMemory} from '../host/process-memory.ts';
import {readSecretFile} from '../host/secret-file.ts';
import {connectSecurely, listenSecurely} from '../host/secure-stream.ts';
import {loadArtefacts} from '../session/artefacts.ts';
import {HostedMachine} from '../session/hosted-machine.ts';
import {openArbiter} from './arbiter-spec.ts';
import {askIfRunning} from './ask-session.ts';
import {SocketLink} from './link.ts';
import type {World} from './world.ts';

const CONNECT_TIMEOUT_MS = 5000;

/** `secretPath`: the file with the secret that both hosts share; without it channels stay on the loopback. Throws FtvmError `usage`. */
export async function nodeWorld(options: {
  secretPath: string | undefined;
  note: (text: string) => void;
}): Promise<World> {
  const {secretPath, note} = options;
  const secret = secretPath === undefined ? undefined : await readSecretFile(secretPath);
  return {
    clock: HOST_CLOCK,
    nowMs: () => performance.now(),
    entropy: (lengthBytes) => new Uint8Array(randomBytes(lengthBytes)),
    uniqueId: () => crypto.randomUUID(),
    processName: `${hostname()} pid ${process.pid}`,
    secret,
    async connect(endpoint) {
      const socket = await connectSecurely(endpoint, {secret, timeoutMs: CONNECT_TIMEOUT_MS});
      return new SocketLink(socket, formatEndpoint(endpoint));
    },
    listen: (endpoint, onLink) =>
      listenSecurely(endpoint, {
        secret,
        onConnection: (socket, peer) => onLink(new SocketLink(socket, peer)),
        onStranger: ({peer, reason}) => note(`stranger refused: ${peer}: ${reason}`),
      }),
    openDatagrams,
    createLog: (path, options) => LogFileWriter.create(path, options),
    continueLog: (path, options) => LogFileWriter.continue(path, options),
    readLog: (path, options) => LogFileReader.open(path, options),
    openArbiter,
    openConsole: (onEscape) => new ProcessConsole({onEscape}),
    returnMemory: returnFreeMemory,
    openNic: (address) => openNic(address, {secret, note}),
    control: (path, handle) => ControlServer.listen(controlSocketPath(path), handle),
    askIfRunning,
    async buildMachine(header, {path, paths}) {
      const {images, disks} = await loadArtefacts(header, {logPath: path, paths});
      const machine = new HostedMachine(header.config, images, disks);
      machine.useHugePages();
      return {
        machine,
        close() {
          for (const disk of disks) disk.close();
        },
      };
    },
  };
}
