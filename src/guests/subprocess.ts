// Running the distribution's own tools (apt-get, apt-cache, dpkg-deb). Arguments never pass through a shell; the locale is
// fixed to C because messages are read. What a tool prints on standard error is kept for the error message.

import {type ChildProcess, spawn} from 'node:child_process';
import {createInterface} from 'node:readline';
import type {Readable} from 'node:stream';

/** Standard error is kept up to this much, from its start: the first complaint is the telling one. */
const STDERR_LIMIT_CHARS = 64 * 1024;

export type ToolResult = {exitCode: number; stdout: string; stderr: string};

export type ToolOptions = {
  /** Called for each line on file descriptor 3 (apt's `APT::Status-Fd=3`). */
  onStatusLine?: (line: string) => void;
  signal?: AbortSignal | undefined;
};

/** Runs a tool to its end and collects what it prints. An exit code other than 0 is the caller's to judge; a missing tool rejects with ENOENT. */
export async function runTool(
  command: string,
  args: readonly string[],
  options: ToolOptions = {},
): Promise<ToolResult> {
  const child = start(command, args, options);
  const ended = exitOf(child);
  const stdout: Buffer[] = [];
  child.stdout!.on('data', (chunk: Buffer) => stdout.push(chunk));
  const stderr = collectText(child.stderr!);
  const exitCode = await ended;
  return {exitCode, stdout: Buffer.concat(stdout).toString('utf8'), stderr: stderr()};
}

/** Starts a tool whose standard output is consumed as a stream; await `ended` after the stream's end. */
export function streamTool(
  command: string,
  args: readonly string[],
  options: ToolOptions = {},
): {stdout: AsyncIterable<Uint8Array>; ended: Promise<{exitCode: number; stderr: string}>} {
  const child = start(command, args, options);
  const stderr = collectText(child.stderr!);
  const ended = exitOf(child).then((exitCode) => ({exitCode, stderr: stderr()}));
  ended.catch(() => undefined); // Whoever awaits `ended` sees the failure; until then it must not count as unhandled.
  return {stdout: child.stdout!, ended};
}

function start(command: string, args: readonly string[], options: ToolOptions): ChildProcess {
  const child = spawn(command, args, {
    env: {...process.env, LC_ALL: 'C', LANGUAGE: 'C', DEBIAN_FRONTEND: 'noninteractive'},
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    ...(options.signal === undefined ? {} : {signal: options.signal}),
  });
  const status = child.stdio[3] as Readable;
  if (options.onStatusLine === undefined) status.resume();
  else createInterface({input: status}).on('line', options.onStatusLine);
  return child;
}

function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signalName) => resolve(code ?? (signalName === 'SIGINT' ? 130 : 128)));
  });
}

function collectText(stream: Readable): () => string {
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    if (text.length < STDERR_LIMIT_CHARS) text += chunk.toString('utf8');
  });
  return () => text;
}
