// The control socket of a running session: a Unix socket beside its log, one JSON object a line. Only the owner may open it.

import {createHash} from 'node:crypto';
import {chmodSync, rmSync} from 'node:fs';
import {createConnection, createServer, type Server, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {createInterface} from 'node:readline';
import {FtvmError} from '../errors.ts';

export type ControlRequest = {command: string; [key: string]: unknown};
export type ControlReply = {ok: boolean; [key: string]: unknown};

/** sun_path of Linux holds 108 bytes with its final zero (unix(7)); macOS 104. */
const SOCKET_PATH_LIMIT_BYTES = 103;
/** A request or a reply. */
const LINE_LIMIT_BYTES = 64 * 1024;

/** Where the session that writes this log listens. */
export function controlSocketPath(logPath: string): string {
  const beside = `${resolve(logPath)}.sock`;
  if (Buffer.byteLength(beside) <= SOCKET_PATH_LIMIT_BYTES) return beside;
  const name = createHash('sha256').update(beside).digest('hex').slice(0, 24);
  return join(tmpdir(), `ftvm-${name}.sock`);
}

export class ControlServer {
  readonly path: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, path: string) {
    this.#server = server;
    this.path = path;
  }

  /** Listens at `path`. Throws FtvmError `alreadyRunning` when somebody answers there; a dead session's socket is replaced. */
  static async listen(
    path: string,
    handle: (request: ControlRequest) => Promise<ControlReply>,
  ): Promise<ControlServer> {
    if ((await controlState(path)) === 'alive') {
      throw new FtvmError('alreadyRunning', `a session is running already: ${path} answers`, {
        hint: 'Choose another log file, or end that session first.',
        details: {path},
      });
    }
    rmSync(path, {force: true});
    const server = createServer();
    const control = new ControlServer(server, path);
    server.on('connection', (socket) => control.#serve(socket, handle));
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) =>
        reject(new FtvmError('fileSystem', `cannot listen at ${path}: ${error.message}`, {details: {path}})),
      );
      server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
    return control;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    rmSync(this.path, {force: true});
  }

  #serve(socket: Socket, handle: (request: ControlRequest) => Promise<ControlReply>): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    let received = '';
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      received += text;
      if (received.length > LINE_LIMIT_BYTES) socket.destroy();
      for (let end = received.indexOf('\n'); end >= 0; end = received.indexOf('\n')) {
        const line = received.slice(0, end);
        received = received.slice(end + 1);
        void answer(line, handle).then((reply) => socket.write(`${JSON.stringify(reply)}\n`));
      }
    });
  }
}

/** Sends one request. Throws FtvmError `peerVanished` when nobody answers. */
export async function askControl(path: string, request: ControlRequest): Promise<ControlReply> {
  const socket = createConnection(path);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    socket.write(`${JSON.stringify(request)}\n`);
    for await (const line of createInterface({input: socket})) return JSON.parse(line) as ControlReply;
    throw new Error('the connection was closed without an answer');
  } catch (error) {
    throw new FtvmError('peerVanished', `no answer from the session at ${path}: ${(error as Error).message}`, {
      details: {path},
    });
  } finally {
    socket.destroy();
  }
}

/** `alive`: somebody listens. `dead`: a socket is there that nobody listens at any more. `absent`: there is none. */
export async function controlState(path: string): Promise<'alive' | 'dead' | 'absent'> {
  const socket = createConnection(path);
  try {
    return await new Promise((resolve) => {
      socket.once('connect', () => resolve('alive'));
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ENOENT' ? 'absent' : 'dead'));
    });
  } finally {
    socket.destroy();
  }
}

async function answer(line: string, handle: (request: ControlRequest) => Promise<ControlReply>): Promise<ControlReply> {
  try {
    const request = JSON.parse(line) as ControlRequest;
    if (typeof request?.command !== 'string') return {ok: false, message: 'a request is an object with a command'};
    return await handle(request);
  } catch (error) {
    if (error instanceof FtvmError) return {ok: false, code: error.code, message: error.message, hint: error.hint};
    if (error instanceof SyntaxError) return {ok: false, message: 'a request is one line of JSON'};
    throw error;
  }
}
