// Field types of the records: each packs a value for CBOR and parses what CBOR gave back, strictly. One definition serves
// writer and reader, so their limits cannot differ. A field that is wrong throws MalformedError, which names the field; the
// reader adds the byte offset, the writer treats it as our own bug.

/** What the codec carries: RFC 8949's unsigned and negative integers, byte and text strings, arrays, null. */
export type CborValue = number | bigint | Uint8Array | string | null | CborValue[];

/** What is wrong with a record, without its place. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError';
}

export interface Field<T> {
  pack(value: T): CborValue;
  /** `name` is the field's path, for the message. */
  parse(value: CborValue, name: string): T;
}

/** An unsigned integer in [`min`, `max`], both at most 2^53 - 1. */
export function uint(max: number, min = 0): Field<number> {
  return {
    pack: (value) => value,
    parse(value, name) {
      const integer = toSafeInteger(value, name);
      if (integer < min || integer > max) throw new MalformedError(`${name} is ${integer}, not in ${min}..${max}`);
      return integer;
    },
  };
}

/** An integer in [`min`, `max`], beyond what a number holds exactly. */
export function bigint(max: bigint, min = 0n): Field<bigint> {
  return {
    pack: (value) => value,
    parse(value, name) {
      if (typeof value === 'number' ? !Number.isSafeInteger(value) : typeof value !== 'bigint') {
        throw new MalformedError(`${name} is ${typeName(value)}, an integer expected`);
      }
      const integer = BigInt(value as number | bigint);
      if (integer < min || integer > max) throw new MalformedError(`${name} is ${integer}, not in ${min}..${max}`);
      return integer;
    },
  };
}

/** A byte string of `minBytes` to `maxBytes` bytes. */
export function bytes(minBytes: number, maxBytes: number): Field<Uint8Array> {
  return {
    pack: (value) => value,
    parse(value, name) {
      if (!(value instanceof Uint8Array)) {
        throw new MalformedError(`${name} is ${typeName(value)}, a byte string expected`);
      }
      if (value.length < minBytes || value.length > maxBytes) {
        throw new MalformedError(`${name} has ${value.length} bytes, not ${minBytes}..${maxBytes}`);
      }
      return value;
    },
  };
}

/** A text string of `minBytes` to `maxBytes` bytes of UTF-8, of whole characters only. */
export function text(minBytes: number, maxBytes: number): Field<string> {
  return {
    pack: (value) => value,
    parse(value, name) {
      if (typeof value !== 'string') throw new MalformedError(`${name} is ${typeName(value)}, a text string expected`);
      if (!value.isWellFormed()) throw new MalformedError(`${name} holds half a surrogate pair`);
      const lengthBytes = utf8Length(value);
      if (lengthBytes < minBytes || lengthBytes > maxBytes) {
        throw new MalformedError(`${name} has ${lengthBytes} bytes, not ${minBytes}..${maxBytes}`);
      }
      return value;
    },
  };
}

/** One of `names`, stored as its index. */
export function oneOf<const Names extends readonly string[]>(names: Names): Field<Names[number]> {
  const index = uint(names.length - 1);
  return {
    pack: (value) => names.indexOf(value),
    parse: (value, name) => names[index.parse(value, name)],
  };
}

/** False and true as 0 and 1. */
export const flag: Field<boolean> = {
  pack: (value) => (value ? 1 : 0),
  parse: (value, name) => uint(1).parse(value, name) === 1,
};

/** `null` or `field`. */
export function nullable<T>(field: Field<T>): Field<T | null> {
  return {
    pack: (value) => (value === null ? null : field.pack(value)),
    parse: (value, name) => (value === null ? null : field.parse(value, name)),
  };
}

/** An array of `minCount` to `maxCount` of `field`. */
export function list<T>(field: Field<T>, maxCount: number, minCount = 0): Field<T[]> {
  return {
    pack: (values) => values.map((value) => field.pack(value)),
    parse(value, name) {
      const items = toArray(value, name);
      if (items.length < minCount || items.length > maxCount) {
        throw new MalformedError(`${name} has ${items.length} items, not ${minCount}..${maxCount}`);
      }
      return items.map((item, index) => field.parse(item, `${name}[${index}]`));
    },
  };
}

/** An object, stored as the array of its members in the order given here. */
export function struct<T extends object>(members: {readonly [K in keyof T]-?: Field<T[K]>}): Field<T> {
  const keys = Object.keys(members) as (keyof T & string)[];
  return {
    pack: (value) => keys.map((key) => members[key].pack(value[key])),
    parse(value, name) {
      const items = toArray(value, name);
      if (items.length !== keys.length) {
        throw new MalformedError(`${name} has ${items.length} fields, ${keys.length} expected`);
      }
      const result: Partial<T> = {};
      keys.forEach((key, index) => {
        result[key] = members[key].parse(items[index], `${name}.${key}`);
      });
      return result as T;
    },
  };
}

/** Bytes of `value` in UTF-8, without encoding it. */
export function utf8Length(value: string): number {
  let lengthBytes = 0;
  for (let index = 0; index < value.length; index++) {
    const unit = value.charCodeAt(index);
    // Each half of a surrogate pair counts two of the pair's four bytes.
    lengthBytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 2 : 3;
  }
  return lengthBytes;
}

function toSafeInteger(value: CborValue, name: string): number {
  const integer = typeof value === 'bigint' ? Number(value) : value;
  if (typeof integer !== 'number') throw new MalformedError(`${name} is ${typeName(value)}, an integer expected`);
  if (!Number.isSafeInteger(integer)) throw new MalformedError(`${name} is ${value}, beyond any limit`);
  return integer;
}

function toArray(value: CborValue, name: string): CborValue[] {
  if (!Array.isArray(value)) throw new MalformedError(`${name} is ${typeName(value)}, an array expected`);
  return value;
}

function typeName(value: CborValue | undefined): string {
  if (value === null) return 'null';
  if (value instanceof Uint8Array) return 'a byte string';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'string') return 'a text string';
  return typeof value === 'number' || typeof value === 'bigint' ? 'an integer' : `of type ${typeof value}`;
}
