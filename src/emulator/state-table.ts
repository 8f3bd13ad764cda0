// The state table: every register of the hart and of every device, by name, in one fixed order. Digests, snapshots and diffs
// are one loop over it (as in Cartesi's machine). RAM and disk overlays are paged memories and stand beside it, not in it.

import {assert} from '../errors.ts';

export type FieldType = 'u8' | 'u16' | 'u32' | 'u64' | 'bytes' | 'blob';

/** A register of at most 32 bits. */
export interface NumberField {
  value: number;
}

/** A register of 64 bits; values are unsigned. */
export interface BigIntField {
  value: bigint;
}

/** A byte string of varying length (a queue, a bounce buffer). Replace `bytes`, never write into it. */
export interface BlobField {
  bytes: Uint8Array;
}

export type StateEntry = {
  readonly name: string;
  readonly type: FieldType;
  /** The current value: a view for fixed fields, the bytes themselves for a blob. Little-endian. */
  read(): Uint8Array;
  /** Overwrites the value; fixed fields need exactly their size. */
  write(bytes: Uint8Array): void;
};

export class StateTable {
  readonly #entries: StateEntry[] = [];
  readonly #names = new Set<string>();

  get entries(): readonly StateEntry[] {
    return this.#entries;
  }

  u8(name: string, view = newView(1), offset = 0): NumberField {
    this.#addFixed(name, 'u8', view, offset, 1);
    return {
      get value() {
        return view.getUint8(offset);
      },
      set value(value) {
        view.setUint8(offset, value);
      },
    };
  }

  u16(name: string, view = newView(2), offset = 0): NumberField {
    this.#addFixed(name, 'u16', view, offset, 2);
    return {
      get value() {
        return view.getUint16(offset, true);
      },
      set value(value) {
        view.setUint16(offset, value, true);
      },
    };
  }

  u32(name: string, view = newView(4), offset = 0): NumberField {
    this.#addFixed(name, 'u32', view, offset, 4);
    return {
      get value() {
        return view.getUint32(offset, true);
      },
      set value(value) {
        view.setUint32(offset, value, true);
      },
    };
  }

  u64(name: string, view = newView(8), offset = 0): BigIntField {
    this.#addFixed(name, 'u64', view, offset, 8);
    return {
      get value() {
        return view.getBigUint64(offset, true);
      },
      set value(value) {
        view.setBigUint64(offset, value, true);
      },
    };
  }

  /** A fixed-length array of bytes; the returned array is the storage itself. */
  bytes(name: string, lengthBytes: number, storage = new Uint8Array(lengthBytes)): Uint8Array {
    assert(storage.length === lengthBytes, `${name}: ${storage.length} bytes, ${lengthBytes} expected`);
    this.#addFixed(name, 'bytes', new DataView(storage.buffer, storage.byteOffset, lengthBytes), 0, lengthBytes);
    return storage;
  }

  /** A byte string of varying length, at most `limitBytes`. */
  blob(name: string, limitBytes: number): BlobField {
    let bytes: Uint8Array = new Uint8Array(0);
    const field: BlobField = {
      get bytes() {
        return bytes;
      },
      set bytes(value) {
        assert(value.length <= limitBytes, `${name}: ${value.length} bytes, at most ${limitBytes}`);
        bytes = value;
      },
    };
    this.#add({name, type: 'blob', read: () => bytes, write: (value) => (field.bytes = value.slice())});
    return field;
  }

  #addFixed(name: string, type: FieldType, view: DataView, offset: number, size: number): void {
    const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, size);
    this.#add({
      name,
      type,
      read: () => bytes,
      write(value) {
        assert(value.length === size, `${name}: ${value.length} bytes, ${size} expected`);
        bytes.set(value);
      },
    });
  }

  #add(entry: StateEntry): void {
    assert(!this.#names.has(entry.name), `two state entries are called ${entry.name}`);
    this.#names.add(entry.name);
    this.#entries.push(entry);
  }
}

function newView(size: number): DataView {
  return new DataView(new ArrayBuffer(size));
}
