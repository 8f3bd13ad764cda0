// The control socket of a running session: a Unix socket beside its log, one JSON object a line. Only the owner may open it.

import {createHash} from 'node:crypto';
import {chmodSync, existsSync, lstatSync, rmSync} from 'node:fs';
import {createConnection, createServer, type Server, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {dirname, join, resolve} from 'node:path';
import {createInterface} from 'node:readline';
import {FtvmError} from '../errors.ts';
import {toFileError} from './file-error.ts';

export type ControlRequest = {command: string; [key: string]: unknown};
export type ControlReply = {ok: boolean; [key: string]: unknown};

/** sun_path of Linux holds 108 bytes with its final zero (unix(7)); macOS 104. */
const SOCKET_PATH_LIMIT_BYTES = 103;
/** Looking at a dead socket and taking its place takes milliseconds. */
const REPLACEMENT_LIMIT_MS = 2000;
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
    const server = createServer();
    const control = new ControlServer(server, path);
    server.on('connection', (socket) => control.#serve(socket, handle));
    const failure = await bind(server, path);
    if (failure !== undefined) {
      if (failure.code !== 'EADDRINUSE') throw bindError(failure, path);
      await replaceDead(server, path);
    }
    chmodSync(path, 0o600);
    return control;
  }

  close(): void {
    // This removes the socket's file as well; whoever finds the name free from now on may take it.
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket, handle: (request: ControlRequest) => Promise<ControlReply>): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    let received = '';
    // One request after the other, and nothing more is read before its answer has left: who reads no answers must not fill our memory.
    const answerLines = async (): Promise<void> => {
      socket.pause();
      for (let end = received.indexOf('\n'); end >= 0; end = received.indexOf('\n')) {
        const line = received.slice(0, end);
        received = received.slice(end + 1);
        const reply = await answer(line, handle);
        if (socket.destroyed) return;
        if (!socket.write(`${JSON.stringify(reply)}\n`)) await drained(socket);
      }
      if (received.length > LINE_LIMIT_BYTES) refuse(socket, `a request has at most ${LINE_LIMIT_BYTES} bytes`);
      else socket.resume();
    };
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      received += text;
      void answerLines();
    });
  }
}

/** Resolves when what was written has left, or never will. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}

function refuse(socket: Socket, message: string): void {
  socket.end(`${JSON.stringify({ok: false, message})}\n`, () => socket.destroy());
}

/** Takes the name, which only one process can; resolves to what prevented it. */
function bind(server: Server, path: string): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    server.once('error', resolve);
    server.listen(path, () => {
      server.off('error', resolve);
      resolve(undefined);
    });
  });
}

function bindError(error: NodeJS.ErrnoException, path: string): unknown {
  // libuv reports a missing folder as EACCES.
  const code = error.code === 'EACCES' && !existsSync(dirname(path)) ? 'ENOENT' : error.code;
  return toFileError(Object.assign(error, {code}), {doing: 'listen at', path});
}

/**
 * Takes the place of a dead session's socket. Of several processes that find it dead one at a time looks, removes and binds; else
 * one might remove what another has just put there. Throws FtvmError `alreadyRunning` when somebody answers.
 */
async function replaceDead(server: Server, path: string): Promise<void> {
  const guard = await enterReplacement(path);
  try {
    if ((await controlState(path)) === 'alive') throw alreadyRunning(path);
    if (existsSync(path) && !lstatSync(path).isSocket()) {
      throw new FtvmError('fileSystem', `cannot listen at ${path}: it is there, and no socket`, {
        hint: 'Remove it, or choose another log file.',
        details: {path},
      });
    }
    rmSync(path, {force: true});
    const failure = await bind(server, path);
    if (failure !== undefined) throw failure.code === 'EADDRINUSE' ? alreadyRunning(path) : bindError(failure, path);
  } finally {
    guard?.close();
  }
}

/**
 * A mutual exclusion that ends with its process: Linux's abstract socket names (unix(7)). Undefined where there are none, or when
 * somebody sits on the name: a stranger must not be able to keep sessions from starting.
 */
async function enterReplacement(path: string): Promise<Server | undefined> {
  if (process.platform !== 'linux') return undefined;
  const name = `\0ftvm-${createHash('sha256').update(resolve(path)).digest('hex')}`;
  const deadlineMs = performance.now() + REPLACEMENT_LIMIT_MS;
  while (performance.now() < deadlineMs) {
    const guard = createServer((socket) => socket.destroy());
    if ((await bind(guard, name)) === undefined) return guard;
    await new Promise((wake) => setTimeout(wake, 5));
  }
  return undefined;
}

function alreadyRunning(path: string): FtvmError {
  return new FtvmError('alreadyRunning', `a session is running already: ${path} answers`, {
    hint: 'Choose another log file, or end that session first.',
    details: {path},
  });
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
