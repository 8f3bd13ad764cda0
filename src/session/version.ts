// What this ftvm calls itself in logs. package.json says the same; a test holds the two together.

export const FTVM_VERSION = '0.1.0';
