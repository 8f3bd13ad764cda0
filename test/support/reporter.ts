// mocha's spec reporter with a closing line, `N passed, N failed, N skipped`, alone and last, counted by the runner itself.
// The run also fails when no test ran, when a spec file could not be loaded (mocha then never starts a run, so the line comes
// from the exit hook), and, with FTVM_NO_SKIP=1, when anything was skipped.

import Mocha from 'mocha';
import type {SkipMark} from './skip.ts';

/** Set by the first reporter that printed the line; the exit hook needs to know. */
const closing = {isPrinted: false};

process.on('exit', () => {
  if (closing.isPrinted) return;
  process.exitCode = process.exitCode || 1;
  printClosingLine({
    passed: 0,
    failed: 1,
    skipped: 0,
    remarks: [
      'failed: the run did not finish: a spec file could not be loaded, none was found, or a test ended the process',
    ],
  });
});

export default class ClosingLineReporter extends Mocha.reporters.Spec {
  readonly #runner: Mocha.Runner;
  readonly #skipped: string[] = [];

  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options);
    this.#runner = runner;
    runner.on('pending', (test) => {
      this.#skipped.push(`skipped: ${test.fullTitle()}: ${skipReason(test)}`);
    });
  }

  /** mocha's last call, after everything else was printed; `end` takes the exit code. */
  override done(failures: number, end: (failures: number) => void): void {
    const {passes = 0, failures: failed = 0, pending = 0} = this.#runner.stats ?? {};
    const remarks = [...this.#skipped];
    let exitCode = Math.max(failures, failed);
    if (passes + failed === 0) {
      remarks.push('failed: no test ran');
      exitCode ||= 1;
    }
    if (pending > 0 && process.env.FTVM_NO_SKIP === '1') {
      remarks.push('failed: something was skipped, and FTVM_NO_SKIP=1 forbids it');
      exitCode ||= 1;
    }
    printClosingLine({passed: passes, failed, skipped: pending, remarks});
    end(exitCode);
  }
}

function printClosingLine(result: {passed: number; failed: number; skipped: number; remarks: readonly string[]}): void {
  closing.isPrinted = true;
  const line = `${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped`;
  console.log([...result.remarks, line].join('\n'));
}

function skipReason(test: Mocha.Test): string {
  let holder: (SkipMark & {parent?: Mocha.Suite | undefined}) | undefined = test as SkipMark & Mocha.Test;
  while (holder !== undefined) {
    if (holder.skipReason !== undefined) return holder.skipReason;
    holder = holder.parent as (SkipMark & Mocha.Suite) | undefined;
  }
  return 'no reason given (use skipUnless)';
}
