// How the tests run: every test/**/*.test.ts with Node's own type stripping, serially (many of them start processes of their
// own and measure time). Files named on the command line replace the pattern instead of adding to it.

const files = process.argv.slice(2).filter((word) => /\.test\.ts$/.test(word));

module.exports = {
  ...(files.length === 0 ? {spec: ['test/**/*.test.ts']} : {}),
  reporter: './test/support/reporter.ts',
  timeout: 30_000,
  slow: 2_000,
  exit: true,
  forbidOnly: Boolean(process.env.CI),
};
