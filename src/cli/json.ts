// The JSON contract of `--json`: every line of stdout is one JSON object. A field has one type always: a bigint (position,
// ordinal, 64-bit register) is a decimal string also when it is small, because JSON numbers lose precision above 2^53; bytes
// are lower-case hexadecimal. This file only encodes; it never writes.

/** What commands may return under `--json`; richer than JSON by the types that `encodeJson` maps. */
export type JsonInput =
  | null
  | boolean
  | number
  | string
  | bigint
  | Uint8Array
  | undefined
  | readonly JsonInput[]
  | ReadonlyMap<string, JsonInput>
  | {readonly [key: string]: JsonInput};

/** One line of JSON, without the line feed. Fields that are undefined are left out. */
export function encodeJson(value: unknown): string {
  return JSON.stringify(value, (_key, field: unknown) => {
    if (typeof field === 'bigint') return field.toString();
    if (field instanceof Map) return Object.fromEntries(field);
    // A Buffer has been turned into {type, data} by its own toJSON before it gets here.
    if (isBufferJson(field)) return Buffer.from(field.data).toString('hex');
    if (field instanceof Uint8Array)
      return Buffer.from(field.buffer, field.byteOffset, field.byteLength).toString('hex');
    return field;
  });
}

function isBufferJson(field: unknown): field is {type: 'Buffer'; data: number[]} {
  return (
    typeof field === 'object' &&
    field !== null &&
    (field as {type?: unknown}).type === 'Buffer' &&
    Array.isArray((field as {data?: unknown}).data)
  );
}
