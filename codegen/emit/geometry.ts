/**
 * How the rows of a sweep are spread over the lanes of a GPU, as data. Geometry follows from architecture, vocabulary, the bytes of an entry and how
 * many values a row is folded to, never from the number of tokens: a token's numbers have the same bits in every batch.
 */
import { EXCHANGES, LINE_PACKETS, PACKET_BYTES, WARP } from "./constants.js";

/** Who shares a row, and where it stays. */
export interface Sharing {
  /** Threads of a block. */
  readonly threads: number;
  /** Lanes of a block that share a row: up to 32 of them, or all. */
  readonly lanes: number;
  /** Blocks that share a row. */
  readonly cluster: number;
  /** Whether the row is copied to shared memory when it is opened; else every phase reads it again, through the second-level cache. */
  readonly resident: boolean;
}

/** How the rows of one sweep are spread. */
export interface Spread extends Sharing {
  /** Threads of a multiprocessor that the kernel leaves registers for. */
  readonly room: number;
  /** Bytes of shared memory of a block. */
  readonly shared: number;
}

/** A multiprocessor has registers for 512 threads of 128, or for 256 of 255, more than which none can have. */
export type Room = 512 | 256;

/** A sweep, as far as its geometry depends on it. */
export interface RowShape {
  readonly vocab: number;
  /** Bytes of one entry of each row that is read, the leaf first. */
  readonly entryBytes: readonly number[];
  /** Values that the parts of a row exchange at once, at most. */
  readonly values: number;
}

interface Chip {
  /** Shared memory that a block can have, after what the system keeps for itself. */
  readonly sharedBytes: number;
  readonly largestCluster: number;
}

/**
 * By the least architecture that it holds for. Consumer chips have the cores of their generation without its shared memory, and no clusters worth the
 * name.
 */
const CHIPS: readonly { readonly from: number; readonly chip: Chip }[] = [
  { from: 120, chip: { sharedBytes: 99 * 1024, largestCluster: 1 } },
  { from: 90, chip: { sharedBytes: 227 * 1024, largestCluster: 8 } },
  { from: 86, chip: { sharedBytes: 99 * 1024, largestCluster: 1 } },
  { from: 80, chip: { sharedBytes: 163 * 1024, largestCluster: 1 } },
];

/**
 * Short rows: so many lanes of a warp share one of up to so many packets. A lane has up to 12 packets, as many as leave room for 1024 threads with
 * one row on an H100, since what is done once per row is done by every lane; but two lanes share even the shortest, for memory is read by 32 bytes.
 */
const SHORT: readonly { readonly packets: number; readonly lanes: number }[] = [
  { packets: 24, lanes: 2 },
  { packets: 48, lanes: 4 },
  { packets: 96, lanes: 8 },
  { packets: 192, lanes: 16 },
  // A warp folds without any barrier, and is worth some more.
  { packets: 512, lanes: WARP },
];
/** Threads of a block of short rows. */
const SHORT_THREADS = 128;

/**
 * Long rows: a row is spread over more blocks while one would keep more bytes than this. A multiprocessor has room for about 200 KiB and should hold
 * several blocks, so that one reads or writes while another folds.
 */
const LONG_BYTES = 36 * 1024;
/**
 * Threads of a block of long rows: the fewest with which those of a multiprocessor are busy enough, for every warp does once what is done once per
 * row.
 */
const LONG_THREADS = [64, 128, 256, 512];
/** Bytes of every block's shared memory that the system keeps. */
const RESERVED = 1024;

/** Packets of a lane and threads with room on a multiprocessor, of what else is worth a try. */
const MOST_PACKETS = 32;
const OTHER_ROOMS = [768, 1024];

/** Bytes of a value that lanes exchange. */
const DOUBLE = 8;

export function chipOf(architecture: string): Chip {
  const number = Number(/^sm_(\d+)/.exec(architecture)?.[1] ?? 80);
  return (CHIPS.find(({ from }) => number >= from) ?? (CHIPS.at(-1) as (typeof CHIPS)[number])).chip;
}

/** The geometry of a sweep for cuda and the emulated device. */
export function spreadOf(architecture: string, shape: RowShape): Spread {
  const chip = chipOf(architecture);
  for (const { most, ...sharing } of candidates(chip, shape)) {
    const spread = sized(sharing, shape);
    if (spread.shared <= most && busy(spread, chip)) return spread;
  }
  // A row that fits nowhere is read again through the cache: by blocks as large as can be, so that what the few of them read between two phases stays
  // there.
  const threads = roomOf(shape);
  return sized({ threads, lanes: threads, cluster: chip.largestCluster, resident: false }, shape);
}

/** Ways to share a row that stays on the chip, the best first, with the bytes of shared memory that a block may have of each. */
function* candidates({ sharedBytes, largestCluster }: Chip, shape: RowShape): Generator<Sharing & { readonly most: number }> {
  const rowPackets = Math.ceil(shape.vocab / widthOf(shape)) + 1;
  for (const { packets, lanes } of SHORT)
    if (rowPackets <= packets) yield { threads: SHORT_THREADS, lanes, cluster: 1, resident: true, most: sharedBytes };
  for (let cluster = 1; cluster <= largestCluster; cluster *= 2)
    for (const threads of LONG_THREADS)
      yield { threads, lanes: threads, cluster, resident: true, most: cluster < largestCluster ? LONG_BYTES : sharedBytes };
}

/** Other ways than the table's, to be measured: every one that keeps the row on the chip and leaves no lane of a whole block without a packet. */
export function alternativesTo(architecture: string, shape: RowShape): Spread[] {
  const { sharedBytes, largestCluster } = chipOf(architecture);
  const packets = Math.ceil(shape.vocab / widthOf(shape));
  const blocks: Sharing[] = [];
  for (const threads of LONG_THREADS) {
    for (let cluster = 1; cluster <= largestCluster; cluster *= 2)
      if (cluster * threads <= packets) blocks.push({ threads, lanes: threads, cluster, resident: true });
    for (let lanes = 2; lanes <= WARP; lanes *= 2)
      if (lanes < threads && packets <= MOST_PACKETS * lanes) blocks.push({ threads, lanes, cluster: 1, resident: true });
  }
  return blocks
    .map((sharing) => sized(sharing, shape))
    .filter(({ shared }) => shared <= sharedBytes)
    .flatMap((spread) => {
      const most = Math.floor((sharedBytes + RESERVED) / (spread.shared + RESERVED)) * spread.threads;
      return [spread.room, ...OTHER_ROOMS.filter((room) => room > spread.room && room <= most)].map((room) => ({
        ...spread,
        room,
      }));
    });
}

/**
 * Whether the blocks that a multiprocessor has shared memory for are all that it has registers for: copies are asynchronous, and it needs no more
 * threads to be busy.
 */
function busy({ threads, shared, room }: Spread, { sharedBytes }: Chip): boolean {
  return Math.floor((sharedBytes + RESERVED) / (shared + RESERVED)) * threads >= room;
}

/**
 * A phase keeps a packet of each row and, for each value, a packet of what is folded; where parts meet, a value takes some registers more. Up to so
 * many leave enough of 128 for all else: what was tried with 96 spills on some chips, and with 17 values.
 */
function roomOf(shape: RowShape): Room {
  const { entryBytes, values } = shape;
  return widthOf(shape) * (entryBytes.length + values) < 96 && values <= 12 ? 512 : 256;
}

/** Entries of a packet: 16 bytes of the leaf. */
function widthOf({ entryBytes }: RowShape): number {
  return PACKET_BYTES / (entryBytes[0] as number);
}

/** With the shared memory that `Team` and `open` of `simt/` cut up; both must agree. */
export function sized({ threads, lanes, cluster, resident }: Sharing, shape: RowShape): Spread {
  const width = widthOf(shape);
  const part = Math.min(lanes, WARP);
  const parts = (cluster * lanes) / part;
  // Two places for what the parts of a row exchange; the tails use them, too.
  const exchange = Math.max(parts > 1 ? EXCHANGES * parts * shape.values * DOUBLE : 0, stepShared(threads));
  const unit = parts > 1 ? LINE_PACKETS * width : width;
  const share = Math.ceil(Math.ceil(shape.vocab / parts) / unit) * unit;
  const rounds = Math.ceil((share + (shape.vocab % width === 0 ? 0 : width)) / (part * width));
  const rows = threads * rounds * width * shape.entryBytes.reduce((sum, bytes) => sum + bytes, 0);
  return { threads, lanes, cluster, resident, room: roomOf(shape), shared: exchange + (resident ? rows : 0) };
}

/** Shared memory of a step's block, in which its warps exchange values. */
export function stepShared(threads: number): number {
  return (threads / WARP) * DOUBLE;
}
