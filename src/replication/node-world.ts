// The real world, by Node.

import {randomBytes} from 'node:crypto';
import {hostname} from 'node:os';
import {Machine} from '../emulator/machine.ts';
import {ProcessConsole} from '../host/console.ts';
import {ControlServer, controlSocketPath} from '../host/control-socket.ts';
import {connectTo, formatEndpoint, Listener} from '../host/listener.ts';
import {LogFileReader, LogFileWriter} from '../host/log-file.ts';
import {HOST_CLOCK} from '../host/monotonic-clock.ts';
import {loadArtefacts} from '../session/artefacts.ts';
import {openArbiter} from './arbiter-spec.ts';
import {SocketLink} from './link.ts';
import type {World} from './world.ts';

const CONNECT_TIMEOUT_MS = 5000;

export const NODE_WORLD: World = {
  clock: HOST_CLOCK,
  nowMs: () => performance.now(),
  entropy: (lengthBytes) => new Uint8Array(randomBytes(lengthBytes)),
  uniqueId: () => crypto.randomUUID(),
  processName: `${hostname()} pid ${process.pid}`,
  async connect(endpoint) {
    return new SocketLink(await connectTo(endpoint, {timeoutMs: CONNECT_TIMEOUT_MS}), formatEndpoint(endpoint));
  },
  listen: (endpoint, onLink) => Listener.open(endpoint, (socket, peer) => onLink(new SocketLink(socket, peer))),
  createLog: (path, options) => LogFileWriter.create(path, options),
  continueLog: (path, options) => LogFileWriter.continue(path, options),
  readLog: (path, options) => LogFileReader.open(path, options),
  openArbiter,
  openConsole: (onEscape) => new ProcessConsole({onEscape}),
  control: (path, handle) => ControlServer.listen(controlSocketPath(path), handle),
  async buildMachine(header, {path, paths}) {
    const {images, disks} = await loadArtefacts(header, {logPath: path, paths});
    const machine = new Machine(header.config, images, disks);
    return {
      machine,
      close() {
        for (const disk of disks) disk.close();
      },
    };
  },
};
