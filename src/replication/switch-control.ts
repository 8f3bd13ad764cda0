// What a running switch is asked and told through its control socket.

import {FtvmError} from '../errors.ts';
import {askControl, type ControlRequest} from '../host/control-socket.ts';
import type {PortStatistics, SwitchStatistics} from '../host/switch/learning-switch.ts';
import type {LineSettings} from '../host/switch/line.ts';
import {MAX_DELAY_MS} from './port-spec.ts';

/** A port that is gone has no line any more. */
export type PortStatus = PortStatistics & Partial<LineSettings & {place: string}>;

export type SwitchStatus = Omit<SwitchStatistics, 'ports'> & {ports: PortStatus[]};

export type LineChange = {port: string | undefined; change: Partial<LineSettings>};

/** Throws FtvmError `peerVanished` when no switch answers there. */
export async function askSwitchStatus(controlPath: string): Promise<SwitchStatus> {
  return (await ask(controlPath, {command: 'status'})) as unknown as SwitchStatus;
}

/** Resolves to the numbers of the ports whose lines have changed. Throws FtvmError `usage` when it has no such port. */
export async function setLine(controlPath: string, {port, change}: LineChange): Promise<{ports: number[]}> {
  const {ports} = await ask(controlPath, {command: 'set', ...change, ...(port === undefined ? {} : {port})});
  return {ports: ports as number[]};
}

/** A `set` request as it came. Throws FtvmError `usage`. */
export function readLineChange({port, loss, delayMs, cut}: ControlRequest): LineChange {
  const change: Partial<LineSettings> = {};
  if (isWithin(loss, 1)) change.loss = loss;
  if (isWithin(delayMs, MAX_DELAY_MS)) change.delayMs = delayMs;
  if (typeof cut === 'boolean') change.cut = cut;
  const isWhole = [loss, delayMs, cut].filter((value) => value !== undefined).length === Object.keys(change).length;
  if (!isWhole || (port !== undefined && typeof port !== 'string')) {
    throw new FtvmError('usage', 'set takes port (text), loss (0 to 1), delayMs, cut (true or false)');
  }
  return {port, change};
}

function isWithin(value: unknown, most: number): value is number {
  return typeof value === 'number' && value >= 0 && value <= most;
}

async function ask(controlPath: string, request: ControlRequest): Promise<Record<string, unknown>> {
  const {ok, ...reply} = await askControl(controlPath, request);
  if (ok) return reply;
  const {message, hint} = reply as {message?: string; hint?: string};
  throw new FtvmError('usage', message ?? 'the switch refused', hint === undefined ? {} : {hint});
}
