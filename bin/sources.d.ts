// The types of sources.js, which is JavaScript because an installed package runs it as it is.

export function programFolder(root: string): 'dist' | 'src';
export function describeSources(root: string): string;
