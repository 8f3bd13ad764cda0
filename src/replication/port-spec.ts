// --port SPEC of a switch: where guests plug in, and what the line there is like: unix:/run/lan.sock,loss=0.01,delay=20.

import {FtvmError} from '../errors.ts';
import type {StreamAddress} from '../host/nic/nic.ts';
import type {LineSettings} from '../host/switch/line.ts';
import {parseStreamAddress} from './nic-spec.ts';

export const MAX_DELAY_MS = 60_000;

export type PortSpec = {
  /** The address as it was written, by which the control socket knows it. */
  place: string;
  address: StreamAddress;
  line: LineSettings;
};

/** What the text does not say is as in `line`. Throws FtvmError `usage`. */
export function parsePortSpec(text: string, line: LineSettings): PortSpec {
  const [, place = '', qualities = ''] = /^(.*?)((?:,(?:loss=[^,]*|delay=[^,]*|cut))*)$/s.exec(text) ?? [];
  const spec = {place, address: parseStreamAddress(place, `--port ${text}`), line: {...line}};
  for (const [, name, value] of qualities.matchAll(/,(\w+)(?:=([^,]*))?/g)) {
    if (name === 'cut') spec.line.cut = true;
    else if (name === 'loss') spec.line.loss = within(value, {text, name, most: 1});
    else spec.line.delayMs = within(value, {text, name, most: MAX_DELAY_MS});
  }
  return spec;
}

function within(value: string, {text, name, most}: {text: string; name: string; most: number}): number {
  const number = /^\d*\.?\d+$/.test(value) ? Number(value) : Number.NaN;
  if (number >= 0 && number <= most) return number;
  throw new FtvmError('usage', `--port ${text}: ${name} is a number from 0 to ${most}`, {
    hint: 'Write it like unix:/run/lan.sock,loss=0.01,delay=20.',
  });
}
