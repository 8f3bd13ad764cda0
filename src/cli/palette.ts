// The colours of ftvm, by role and never by name, so that a theme is one edit. The only file that knows chalk. A stream that
// is no terminal gets no colours, and NO_COLOR (https://no-color.org) turns them off everywhere.

import {Chalk, type ColorSupportLevel, supportsColor, supportsColorStderr} from 'chalk';

export interface Palette {
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly warning: (text: string) => string;
  readonly accent: (text: string) => string;
  readonly strong: (text: string) => string;
  readonly faint: (text: string) => string;
}

/** The palette of one output stream. Data goes to stdout, progress and messages to stderr: each may be a terminal or not. */
export function paletteFor(stream: 'stdout' | 'stderr', environment: NodeJS.ProcessEnv = process.env): Palette {
  const support = stream === 'stdout' ? supportsColor : supportsColorStderr;
  const level: ColorSupportLevel = environment.NO_COLOR || support === false ? 0 : support.level;
  const chalk = new Chalk({level});
  return {
    good: (text) => chalk.green(text),
    bad: (text) => chalk.red(text),
    warning: (text) => chalk.yellow(text),
    accent: (text) => chalk.cyan(text),
    strong: (text) => chalk.bold(text),
    faint: (text) => chalk.dim(text),
  };
}
