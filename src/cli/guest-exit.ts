// A guest's ending as this program's exit code: 0 to 99 pass through, greater ones are printed and exit 100.

import {EXIT_CODES} from '../errors.ts';

const LARGEST_PASSED_CODE = 99;

export function exitCodeOf(
  ending: {kind: 'poweroff'; code: number} | {kind: 'reset'},
  note: (text: string) => void,
): number {
  if (ending.kind === 'reset') return 0;
  if (ending.code <= LARGEST_PASSED_CODE) return ending.code;
  note(`the guest ended with code ${ending.code}`);
  return EXIT_CODES.guestCodeTooLarge;
}
