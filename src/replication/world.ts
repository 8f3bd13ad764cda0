// The world around a session: time, storage, network, arbiter, console. Replication reaches them only through this, so that the tests
// can put a simulated world in its place: the same code, in one process, driven by a seed.

import type {MachineInterface} from '../emulator/machine-interface.ts';
import type {Console} from '../host/console.ts';
import type {ControlReply, ControlRequest} from '../host/control-socket.ts';
import type {Datagrams} from '../host/datagrams.ts';
import type {Endpoint} from '../host/endpoint.ts';
import type {HostClock} from '../host/monotonic-clock.ts';
import type {Nic, NicAddress} from '../host/nic/nic.ts';
import type {LogHeader} from '../logformat/record.ts';
import type {ArtefactPaths} from '../session/artefacts.ts';
import type {LogStore} from '../session/log-sink.ts';
import type {Arbiter} from './arbiter.ts';
import type {LogBytes} from './follower-link.ts';
import type {Link} from './link.ts';

export type BuiltMachine = {machine: MachineInterface; close(): void};

export interface World {
  readonly clock: HostClock;
  /** Milliseconds of a monotonic clock. */
  nowMs(): number;
  /** Random bytes for the guest. */
  entropy(lengthBytes: number): Uint8Array;
  /** Unique among all processes. */
  uniqueId(): string;
  /** Who this process is, for logs and people. */
  readonly processName: string;
  /** What only both hosts know; undefined: nothing leaves this host. */
  readonly secret: Uint8Array | undefined;
  /** Throws FtvmError `network` when nobody listens there. */
  connect(endpoint: Endpoint): Promise<Link>;
  listen(endpoint: Endpoint, onLink: (link: Link) => void): Promise<{port: number; close(): void}>;
  /** They may get lost, come late, twice, in another order, or from anybody. Throws FtvmError `network`. */
  openDatagrams(at: Endpoint, onDatagram: (datagram: Uint8Array, from: Endpoint) => void): Promise<Datagrams>;
  createLog(path: string, options: {overwrite: boolean}): Promise<LogStore>;
  /** Cuts what is behind `sizeBytes`, and appends there. */
  continueLog(path: string, options: {sizeBytes: number}): Promise<LogStore>;
  readLog(path: string, options: {offset: number}): Promise<LogBytes>;
  openArbiter(spec: string): Promise<Arbiter>;
  /** `onEscape`: the user wants to leave. */
  openConsole(onEscape: () => void): Console;
  /** Plugs a NIC in. A switch that does not answer yet is waited for in the background. Throws FtvmError for one that can never be used. */
  openNic(address: NicAddress): Promise<Nic>;
  /** Much memory has been freed: the system may have it back. */
  returnMemory(): void;
  /** Answers at the control socket of the session that writes the log `path`. */
  control(path: string, handle: (request: ControlRequest) => Promise<ControlReply>): Promise<{close(): void}>;
  /** Asks the session that writes or follows this log; undefined when none runs. Throws FtvmError as it refuses. */
  askIfRunning(logPath: string, request: ControlRequest): Promise<ControlReply | undefined>;
  /** The machine that a log's header describes, at power-on. */
  buildMachine(header: LogHeader, log: {path: string; paths: ArtefactPaths}): Promise<BuiltMachine>;
}
