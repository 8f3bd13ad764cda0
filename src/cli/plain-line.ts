// Reads a command line that is plain: flags that exist, by their names, each with its value, and as many arguments as the command takes.
// Whatever else there is, mistakes above all, is left to oclif's parser, which takes as long to load as Node takes to start. What is read
// here it reads the same.

/** Of a flag's definition (flags.ts), what is read here. */
type Flag = {
  type: 'option' | 'boolean';
  char?: string;
  required?: boolean;
  options?: readonly string[];
  multiple?: boolean;
  allowNo?: boolean;
  default?: unknown;
  parse(input: unknown, context: object, flag: object): Promise<unknown>;
};

export type Definitions = {flags: Record<string, Flag>; args: Record<string, {options?: readonly string[]}>};
export type Line = {flags: Record<string, unknown>; args: Record<string, unknown>; argv: string[]};

/** Undefined for a line that is not plain. */
export async function parsePlainLine(argv: readonly string[], definitions: Definitions): Promise<Line | undefined> {
  const {flags, args} = definitions;
  const values: Record<string, unknown> = {};
  const positionals: string[] = [];
  const rest = [...argv];
  let greedy = false;
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (!word.startsWith('-')) {
      // oclif gives it to the flag before, when that one takes several values.
      if (greedy) return undefined;
      positionals.push(word);
      continue;
    }
    const found = flagOf(word, flags);
    if (found === undefined) return undefined;
    const {name, isOff} = found;
    const flag = flags[name];
    if (flag.type === 'boolean') {
      values[name] = !isOff;
      continue;
    }
    const value = found.value ?? rest.shift();
    if (value === undefined || value.startsWith('-') || flag.options?.includes(value) === false) return undefined;
    greedy ||= flag.multiple === true;
    if (name in values && !flag.multiple) return undefined;
    const parsed = await flag.parse(value, {}, flag).catch(() => undefined);
    if (parsed === undefined) return undefined;
    values[name] = flag.multiple ? [...((values[name] as unknown[] | undefined) ?? []), parsed] : parsed;
  }
  const names = Object.keys(args);
  if (positionals.length !== names.length) return undefined;
  if (names.some((name, index) => args[name].options?.includes(positionals[index]) === false)) return undefined;
  for (const [name, flag] of Object.entries(flags)) {
    if (name in values) continue;
    if (flag.required) return undefined;
    if (flag.default !== undefined) values[name] = flag.default;
  }
  return {
    flags: values,
    args: Object.fromEntries(names.map((name, index) => [name, positionals[index]])),
    argv: positionals,
  };
}

/** `--name`, `--name=value`, `--no-name`, `-n`. */
function flagOf(
  word: string,
  flags: Record<string, Flag>,
): {name: string; isOff: boolean; value: string | undefined} | undefined {
  if (!word.startsWith('--')) {
    const name = Object.keys(flags).find((candidate) => flags[candidate].char === word.slice(1));
    return name === undefined ? undefined : {name, isOff: false, value: undefined};
  }
  const [, name, value] = /^--([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
  if (name === undefined) return undefined;
  if (Object.hasOwn(flags, name)) {
    const isBoolean = flags[name].type === 'boolean';
    return isBoolean && value !== undefined ? undefined : {name, isOff: false, value};
  }
  const on = name.replace(/^no-/, '');
  const isOff = Object.hasOwn(flags, on) && flags[on].allowNo === true && on !== name && value === undefined;
  return isOff ? {name: on, isOff, value: undefined} : undefined;
}
