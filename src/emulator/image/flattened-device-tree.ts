// Encodes a device tree as the flattened blob (version 17) that firmware and kernels read: Devicetree Specification 0.4,
// chapter 5. Everything in it is big-endian. The result depends on the nodes alone, so that equal machines have equal RAM.

/** What a property holds: nothing, strings, 32-bit cells, or bytes. */
export type PropertyValue =
  | true
  | string
  | readonly string[]
  | {readonly cells: readonly number[]}
  | {readonly bytes: Uint8Array};

/** Properties and children are encoded in the order given. The root's name is empty. */
export type DeviceTreeNode = {
  readonly name: string;
  readonly properties: Readonly<Record<string, PropertyValue>>;
  readonly children?: readonly DeviceTreeNode[];
};

const MAGIC = 0xd00dfeed;
const VERSION = 17;
const LAST_COMPATIBLE_VERSION = 16;
const HEADER_BYTES = 40;
const BEGIN_NODE = 1;
const END_NODE = 2;
const PROPERTY = 3;
const END = 9;

/** A u64 as two cells, high half first, as addresses and sizes need it; `value` is below 2^53. */
export function cellPair(value: number): [number, number] {
  return [Math.floor(value / 2 ** 32), value % 2 ** 32];
}

/**
 * The blob: header, memory reservations (none), structure, strings. Firmware that adds nodes enlarges it in place: leave RAM
 * free behind it.
 */
export function encodeDeviceTree(root: DeviceTreeNode): Uint8Array {
  const structure = new ByteWriter();
  const strings = new StringTable();
  addNode(root, structure, strings);
  structure.u32(END);

  const reservationsOffset = HEADER_BYTES;
  const structureOffset = reservationsOffset + 16; // One empty entry ends the list.
  const stringsOffset = structureOffset + structure.lengthBytes;
  const stringBytes = strings.bytes();
  const contentBytes = stringsOffset + stringBytes.length;
  const totalBytes = (contentBytes + 7) & ~7;

  const blob = new Uint8Array(totalBytes);
  const header = [
    MAGIC,
    totalBytes,
    structureOffset,
    stringsOffset,
    reservationsOffset,
    VERSION,
    LAST_COMPATIBLE_VERSION,
    0, // physical id of the boot hart
    stringBytes.length,
    structure.lengthBytes,
  ];
  const view = new DataView(blob.buffer);
  for (const [index, field] of header.entries()) view.setUint32(index * 4, field);
  blob.set(structure.bytes(), structureOffset);
  blob.set(stringBytes, stringsOffset);
  return blob;
}

function addNode(node: DeviceTreeNode, structure: ByteWriter, strings: StringTable): void {
  structure.u32(BEGIN_NODE);
  structure.padded(zeroTerminated([node.name]));
  for (const [name, value] of Object.entries(node.properties)) {
    const bytes = encodeValue(value);
    structure.u32(PROPERTY);
    structure.u32(bytes.length);
    structure.u32(strings.offsetOf(name));
    structure.padded(bytes);
  }
  for (const child of node.children ?? []) addNode(child, structure, strings);
  structure.u32(END_NODE);
}

function encodeValue(value: PropertyValue): Uint8Array {
  if (value === true) return new Uint8Array(0);
  if (typeof value === 'string') return zeroTerminated([value]);
  if ('cells' in value) {
    const bytes = new Uint8Array(value.cells.length * 4);
    const view = new DataView(bytes.buffer);
    for (const [index, cell] of value.cells.entries()) view.setUint32(index * 4, cell);
    return bytes;
  }
  if ('bytes' in value) return value.bytes;
  return zeroTerminated(value);
}

function zeroTerminated(texts: readonly string[]): Uint8Array {
  return new TextEncoder().encode(texts.map((text) => `${text}\0`).join(''));
}

/** Property names, each once. */
class StringTable {
  readonly #offsets = new Map<string, number>();
  #lengthBytes = 0;

  offsetOf(name: string): number {
    const known = this.#offsets.get(name);
    if (known !== undefined) return known;
    const offset = this.#lengthBytes;
    this.#offsets.set(name, offset);
    this.#lengthBytes += name.length + 1;
    return offset;
  }

  bytes(): Uint8Array {
    return zeroTerminated([...this.#offsets.keys()]);
  }
}

class ByteWriter {
  readonly #parts: Uint8Array[] = [];
  #lengthBytes = 0;

  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  u32(value: number): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value);
    this.#add(bytes);
  }

  /** The bytes, then zeros up to a multiple of 4. */
  padded(bytes: Uint8Array): void {
    this.#add(bytes);
    this.#add(new Uint8Array(-bytes.length & 3));
  }

  bytes(): Uint8Array {
    const all = new Uint8Array(this.#lengthBytes);
    let offset = 0;
    for (const part of this.#parts) {
      all.set(part, offset);
      offset += part.length;
    }
    return all;
  }

  #add(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.#lengthBytes += bytes.length;
  }
}
