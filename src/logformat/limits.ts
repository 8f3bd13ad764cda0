// Every limit of the log format, in one place (STYLE 14). Each is checked on write and on read, and on read before any memory
// is taken for what it bounds. docs/log-format.md repeats them; a test holds the two together.

/** Version of the whole format: preamble, frames, records, state file. Any change to the bytes raises it. */
export const FORMAT_VERSION = 2;

/** Bytes of a log file before its first frame; the same in every version. */
export const PREAMBLE_BYTES = 80;

/** CBOR bytes of one record. The largest is a batch of packets or a part of a snapshot. */
export const MAX_RECORD_BYTES = 1 << 20;

/** CBOR bytes of one frame: two of the largest records, so that a reader's buffer stays small. */
export const MAX_PAYLOAD_BYTES = 2 << 20;

/** Records in one frame: the count is a u16 in the frame header. */
export const MAX_FRAME_RECORDS = 65_535;

/** Arrays inside arrays: a record, its list, the entry, one to spare. */
export const MAX_NESTING = 6;

/** Positions, ordinals and offsets stay below 2^63, so that wasm's signed i64 compares them as we do. */
export const MAX_U63 = (1n << 63n) - 1n;

/** Console bytes in one input: the queue inside the machine holds no more (DESIGN 3). */
export const MAX_CONSOLE_BYTES = 64 * 1024;

/** One Ethernet frame: a 64 KiB segmentation-offload packet with its link header and virtio-net's largest header. */
export const MAX_PACKET_BYTES = 65_562;

/** Packets delivered by one input. */
export const MAX_INPUT_PACKETS = 1024;

/** Random bytes in one input. */
export const MAX_ENTROPY_BYTES = 64 * 1024;

/** Disk requests completed by one input: a virtqueue of the largest size, emptied at once. */
export const MAX_DISK_COMPLETIONS = 32_768;

/** virtio-mmio has eight slots on QEMU's virt board (DESIGN 4). */
export const MAX_DEVICES = 8;

/** Boot artefacts: kernel, firmware, initrd, and room for a device tree. */
export const MAX_ARTEFACTS = 8;

/** A kernel command line; Linux itself keeps 1024 bytes on RISC-V, bare-metal guests may take more. */
export const MAX_COMMAND_LINE_BYTES = 4096;

/** Paths, arbiter specifications: PATH_MAX of Linux. */
export const MAX_PATH_BYTES = 4096;

/** Host names, boot ids, versions, a backup's name. */
export const MAX_NAME_BYTES = 255;

/** Bytes of a snapshot carried by one snapshot record. */
export const MAX_SNAPSHOT_PART_BYTES = 512 * 1024;

/** Bytes of one state-table entry: a bounce buffer of the largest disk request is 4 MiB. */
export const MAX_STATE_ENTRY_BYTES = 16 << 20;

/** Payload of one chunk of a state file: the largest entry, or a run of pages, with their heads. */
export const MAX_CHUNK_BYTES = MAX_STATE_ENTRY_BYTES + 1024;

/** Entries of a state table, and memories beside it. */
export const MAX_STATE_ENTRIES = 65_535;
export const MAX_MEMORIES = 64;

/** Pages of one memory: 8 TiB of disk. */
export const MAX_MEMORY_PAGES = 2 ** 31;

/** Pages that one memory holds: 4 GiB of RAM are half of it, a disk's overlay may grow up to it. */
export const MAX_HELD_PAGES = 2 ** 21;

/** Pages that one chunk carries; a run of zero pages may be longer. */
export const MAX_CHUNK_PAGES = 64;

/** As src/emulator/paged-memory.ts has it; a test holds the two together. */
export const STATE_PAGE_BYTES = 4096;
