// CRC-32C (Castagnoli), as in RFC 3720 and SSE4.2: polynomial 0x1EDC6F41, reflected 0x82F63B78, initial value and final
// exclusive-or 0xFFFFFFFF. Four bytes a step (slicing by four): large batches of packets pass through here.

const POLYNOMIAL_REFLECTED = 0x82f63b78;

const TABLES = makeTables();

/** CRC-32C of `bytes`, unsigned; `previous` continues the CRC of what stood before them. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  const [t0, t1, t2, t3] = TABLES;
  let crc = ~previous;
  let index = 0;
  for (const end = bytes.length - 3; index < end; index += 4) {
    crc ^= bytes[index] | (bytes[index + 1] << 8) | (bytes[index + 2] << 16) | (bytes[index + 3] << 24);
    crc = t3[crc & 0xff] ^ t2[(crc >>> 8) & 0xff] ^ t1[(crc >>> 16) & 0xff] ^ t0[crc >>> 24];
  }
  for (; index < bytes.length; index++) crc = t0[(crc ^ bytes[index]) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Table k holds the CRC of a byte followed by k zero bytes. */
function makeTables(): [Int32Array, Int32Array, Int32Array, Int32Array] {
  const tables = [0, 1, 2, 3].map(() => new Int32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL_REFLECTED : 0);
    tables[0][byte] = crc;
  }
  for (let byte = 0; byte < 256; byte++) {
    for (let k = 1; k < 4; k++) {
      const shorter = tables[k - 1][byte];
      tables[k][byte] = tables[0][shorter & 0xff] ^ (shorter >>> 8);
    }
  }
  return tables as [Int32Array, Int32Array, Int32Array, Int32Array];
}
