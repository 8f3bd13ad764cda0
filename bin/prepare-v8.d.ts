// The types of prepare-v8.js, which is JavaScript because an installed package runs it as it is.

export function prepareV8(): void;
