// The seed of the random tests: printed in their names, and taken from FTVM_TEST_SEED to repeat a run.

export const SEED = Number(process.env.FTVM_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
