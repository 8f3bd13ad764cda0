// A CDDL validator for the part of RFC 8610 that docs/log-format.cddl uses: values, ranges, `.size`, choices, arrays with
// occurrences and member names. And a CBOR decoder of its own, so that what is judged did not pass through the codec.

export type CborNode =
  | {kind: 'int'; value: bigint}
  | {kind: 'bytes'; value: Uint8Array}
  | {kind: 'text'; value: string; lengthBytes: number}
  | {kind: 'array'; items: CborNode[]}
  | {kind: 'null'};

type Type =
  | {kind: 'choice'; types: Type[]}
  | {kind: 'range'; min: bigint; max: bigint}
  | {kind: 'name'; name: string}
  | {kind: 'size'; of: Type; min: bigint; max: bigint}
  | {kind: 'array'; entries: {min: number; max: number; type: Type}[]};

export class Cddl {
  readonly #rules: ReadonlyMap<string, Type>;

  /** Parses the text. Throws on anything outside the subset, and on a name without a rule. */
  constructor(text: string) {
    this.#rules = new Parser(text).parseRules();
    for (const type of this.#rules.values()) this.#checkNames(type);
  }

  get ruleNames(): string[] {
    return [...this.#rules.keys()];
  }

  /** Whether `node` matches the rule `name`. */
  matches(node: CborNode, name: string): boolean {
    const builtIn = BUILT_INS[name];
    if (builtIn !== undefined) return builtIn(node);
    return this.#matchesType(node, this.#rule(name));
  }

  #matchesType(node: CborNode, type: Type): boolean {
    switch (type.kind) {
      case 'choice':
        return type.types.some((choice) => this.#matchesType(node, choice));
      case 'range':
        return node.kind === 'int' && node.value >= type.min && node.value <= type.max;
      case 'name':
        return this.matches(node, type.name);
      case 'size': {
        if (!this.#matchesType(node, type.of)) return false;
        const length = node.kind === 'text' ? node.lengthBytes : node.kind === 'bytes' ? node.value.length : undefined;
        return length !== undefined && BigInt(length) >= type.min && BigInt(length) <= type.max;
      }
      case 'array': {
        if (node.kind !== 'array') return false;
        // Greedy, as the entries with an occurrence in our document are always the only ones of their array.
        let next = 0;
        for (const entry of type.entries) {
          let count = 0;
          while (count < entry.max && next < node.items.length && this.#matchesType(node.items[next], entry.type)) {
            count++;
            next++;
          }
          if (count < entry.min) return false;
        }
        return next === node.items.length;
      }
    }
  }

  #rule(name: string): Type {
    const rule = this.#rules.get(name);
    if (rule === undefined) throw new Error(`CDDL: no rule ${name}`);
    return rule;
  }

  #checkNames(type: Type): void {
    if (type.kind === 'name' && BUILT_INS[type.name] === undefined) this.#rule(type.name);
    if (type.kind === 'choice') for (const choice of type.types) this.#checkNames(choice);
    if (type.kind === 'size') this.#checkNames(type.of);
    if (type.kind === 'array') for (const entry of type.entries) this.#checkNames(entry.type);
  }
}

const BUILT_INS: Readonly<Record<string, (node: CborNode) => boolean>> = {
  bstr: ({kind}) => kind === 'bytes',
  tstr: ({kind}) => kind === 'text',
  null: ({kind}) => kind === 'null',
};

class Parser {
  readonly #tokens: string[];
  #next = 0;

  constructor(text: string) {
    const withoutComments = text.replace(/;.*$/gm, '');
    this.#tokens = withoutComments.match(/-?\d+|\.\.|\.size|[a-z][a-z0-9-]*|[=/[\](),:*]|\S/g) ?? [];
  }

  parseRules(): Map<string, Type> {
    const rules = new Map<string, Type>();
    while (this.#next < this.#tokens.length) {
      const name = this.#take(/^[a-z]/);
      this.#take(/^=$/);
      if (rules.has(name)) throw new Error(`CDDL: two rules ${name}`);
      rules.set(name, this.#parseType());
    }
    return rules;
  }

  #parseType(): Type {
    const types = [this.#parseType1()];
    while (this.#accept('/')) types.push(this.#parseType1());
    return types.length === 1 ? types[0] : {kind: 'choice', types};
  }

  #parseType1(): Type {
    const type = this.#parseType2();
    if (!this.#accept('.size')) return type;
    const isRange = this.#accept('(');
    const {min, max} = this.#parseRange();
    if (isRange) this.#take(/^\)$/);
    return {kind: 'size', of: type, min, max};
  }

  #parseType2(): Type {
    if (this.#accept('[')) return this.#parseArray();
    if (/^-?\d/.test(this.#peek())) return {kind: 'range', ...this.#parseRange()};
    return {kind: 'name', name: this.#take(/^[a-z]/)};
  }

  #parseRange(): {min: bigint; max: bigint} {
    const min = BigInt(this.#take(/^-?\d/));
    return {min, max: this.#accept('..') ? BigInt(this.#take(/^-?\d/)) : min};
  }

  #parseArray(): Type {
    const entries: {min: number; max: number; type: Type}[] = [];
    while (!this.#accept(']')) {
      let [min, max] = [1, 1];
      if (this.#tokens[this.#next + 1] === '*') {
        min = Number(this.#take(/^\d/));
        this.#take(/^\*$/);
        max = Number(this.#take(/^\d/));
      }
      if (this.#tokens[this.#next + 1] === ':') this.#next += 2;
      entries.push({min, max, type: this.#parseType()});
      if (!this.#accept(',') && this.#peek() !== ']') throw new Error(`CDDL: ${this.#peek()} inside an array`);
    }
    return {kind: 'array', entries};
  }

  #peek(): string {
    return this.#tokens[this.#next] ?? '';
  }

  #accept(token: string): boolean {
    if (this.#peek() !== token) return false;
    this.#next++;
    return true;
  }

  #take(pattern: RegExp): string {
    const token = this.#peek();
    if (!pattern.test(token)) throw new Error(`CDDL: ${token || 'the end'} where ${pattern} is expected`);
    this.#next++;
    return token;
  }
}

/** Decodes a CBOR sequence; throws on what our records do not use. */
export function decodeCborSequence(bytes: Uint8Array): CborNode[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let offset = 0;
  const argument = (info: number): bigint => {
    if (info < 24) return BigInt(info);
    if (info > 27) throw new Error(`CBOR: additional information ${info}`);
    const size = 1 << (info - 24);
    let value = 0n;
    for (let index = 0; index < size; index++) value = (value << 8n) | BigInt(view.getUint8(offset++));
    return value;
  };
  const item = (): CborNode => {
    const initial = view.getUint8(offset++);
    if (initial === 0xf6) return {kind: 'null'};
    const value = argument(initial & 0x1f);
    switch (initial >> 5) {
      case 0:
        return {kind: 'int', value};
      case 1:
        return {kind: 'int', value: -1n - value};
      case 2:
      case 3: {
        const string = bytes.subarray(offset, (offset += Number(value)));
        if (string.length !== Number(value)) throw new Error('CBOR: a string is cut off');
        if (initial >> 5 === 2) return {kind: 'bytes', value: string};
        return {
          kind: 'text',
          value: new TextDecoder('utf-8', {fatal: true}).decode(string),
          lengthBytes: string.length,
        };
      }
      case 4:
        return {kind: 'array', items: Array.from({length: Number(value)}, item)};
      default:
        throw new Error(`CBOR: initial byte ${initial}`);
    }
  };
  const items: CborNode[] = [];
  while (offset < bytes.length) items.push(item());
  return items;
}
