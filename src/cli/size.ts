// Sizes as users write them: 256M, 1G, 64K, or plain bytes; positions; probabilities.

import {FtvmError} from '../errors.ts';

const UNITS: Readonly<Record<string, number>> = {'': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30};

/** Bytes. Throws FtvmError `usage` naming the option. */
export function parseSize(text: string, option: string): number {
  const match = /^(\d+)([KMG]?)i?B?$/i.exec(text);
  if (match === null)
    throw new FtvmError('usage', `${option} ${text}: not a size`, {hint: 'Write it like 256M or 1G.'});
  return Number(match[1]) * UNITS[match[2].toUpperCase()];
}

/** A position as users write it: a whole number of steps, digits grouped with underscores if they like. */
export function parsePosition(text: string, option: string): bigint {
  if (!/^\d[\d_]*$/.test(text))
    throw new FtvmError('usage', `${option} ${text}: not a position`, {
      hint: 'A position is a number of steps, like 1204331.',
    });
  return BigInt(text.replaceAll('_', ''));
}

/** Throws FtvmError `usage` naming the option. */
export function parseProbability(text: string, option: string): number {
  const value = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= 0 && value <= 1) return value;
  throw new FtvmError('usage', `${option} ${text}: not a probability`, {hint: 'Write it like 0.05.'});
}
