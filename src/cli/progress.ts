// Steps that take a while, shown on stderr: listr2's spinners on a terminal, plain lines elsewhere (CI, pipes, `--json`), so
// that stdout stays data. The only file that knows listr2. A step that throws ends the run, and its error goes to the caller
// as it is: reporting is main.ts's.

import {paletteFor} from './palette.ts';

/** One step. `run` may report what it is at, and resolve to what came of it; both are short, without a line feed. */
export interface Step {
  readonly title: string;
  readonly run: (report: (text: string) => void) => Promise<string> | Promise<void>;
}

export interface ProgressStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** In plain lines a step's reports are shown at most this often: a log is no animation. */
const PLAIN_REPORT_INTERVAL_MS = 3000;

/** Runs the steps one after the other. Throws what a step throws; later steps are then not run. */
export async function runSteps(steps: readonly Step[], stream: ProgressStream = process.stderr): Promise<void> {
  if (stream.isTTY) await runOnTerminal(steps);
  else await runInPlainLines(steps, stream);
}

async function runOnTerminal(steps: readonly Step[]): Promise<void> {
  const {Listr, ListrLogger, ProcessOutput} = await import('listr2');
  const {faint} = paletteFor('stderr');
  const widest = Math.max(...steps.map(({title}) => title.length));
  // Both of listr2's streams are stderr: its default puts the spinners on stdout.
  const output = new ProcessOutput(process.stderr, process.stderr, {leaveEmptyLine: false});
  const tasks = steps.map(({title, run}) => ({
    title,
    task: async (_context: unknown, task: {title: string; output: string}) => {
      const result = await run((text) => {
        task.output = text;
      });
      if (typeof result === 'string') task.title = `${title.padEnd(widest)}  ${faint(result)}`;
    },
  }));
  await new Listr(tasks, {
    registerSignalListeners: false,
    renderer: 'default',
    rendererOptions: {logger: new ListrLogger({processOutput: output}), collapseErrors: false, showErrorMessage: false},
  }).run();
}

async function runInPlainLines(steps: readonly Step[], stream: ProgressStream): Promise<void> {
  for (const {title, run} of steps) {
    const startMs = Date.now();
    let lastReportMs = startMs;
    stream.write(`${title} ...\n`);
    const result = await run((text) => {
      if (Date.now() - lastReportMs < PLAIN_REPORT_INTERVAL_MS) return;
      lastReportMs = Date.now();
      stream.write(`${title}: ${text}\n`);
    });
    stream.write(`${title}: ${result ?? `done in ${((Date.now() - startMs) / 1000).toFixed(1)} s`}\n`);
  }
}
