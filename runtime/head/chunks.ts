/** Cuts a batch into the chunks of tokens whose logits are in memory together. */
import type { ElementSpace } from "../../codegen/schedule/plan.js";
import type { Range } from "../compiled/executable.js";
import { type BatchShape, countOf } from "../inputs/structure.js";

/** Matrix products like numbers of rows that their tiles divide. */
const TILE = 64;

/** Consecutive tokens. */
export interface Chunk {
  /** Rows of logits that they have. */
  readonly rows: number;
  /** The elements that a kernel of a space visits. A chunk knows its sequences and groups only where they were kept whole. */
  range(space: ElementSpace): Range;
}

export interface Chunks {
  readonly list: readonly Chunk[];
  /** Whether what a sweep waits for always lies in the chunk, so that one chunk is carried to its end before the next begins. */
  readonly closed: boolean;
}

/**
 * Chunks of at most `most` rows (and of one token at least). Whole sequences or groups are kept together where that is what the loss waits for and
 * the longest of them fits. `rowsBefore[t]` counts the rows of the tokens before t, up to that of all: every token has one, or only some do.
 */
export function cutChunks(shape: BatchShape, waitsFor: ElementSpace, most: number, rowsBefore: Int32Array): Chunks {
  const cut = (space: ElementSpace) => pack(shape, space, space === "token" ? tiled(most) : most, rowsBefore);
  const fits = (chunks: readonly Chunk[]) => chunks.every(({ rows }) => rows <= most);
  for (const space of ["batch", waitsFor] as const) {
    const list = cut(space);
    if (space === "token" || fits(list)) return { list, closed: true };
  }
  return { list: cut("token"), closed: false };
}

/** Chunks that may end at any token end at a tile of the matrix products. */
function tiled(rows: number): number {
  return rows > TILE ? rows - (rows % TILE) : rows;
}

/** Chunks of as many elements of a space as fit; one that does not fit has a chunk for itself. */
function pack(shape: BatchShape, space: ElementSpace, most: number, rowsBefore: Int32Array): Chunk[] {
  const count = countOf(shape, space);
  const begins = beginsOf(shape, space);
  const rowsTo = (element: number) => rowsBefore[begins(element)] as number;
  const chunks: Chunk[] = [];
  for (let first = 0; first < count; ) {
    let last = first + 1;
    while (last < count && rowsTo(last + 1) - rowsTo(first) <= most) last++;
    chunks.push(chunkOf(shape, space, { first, last }, rowsTo(last) - rowsTo(first)));
    first = last;
  }
  return chunks;
}

function chunkOf(shape: BatchShape, space: ElementSpace, piece: Range, rows: number): Chunk {
  const range = (wanted: ElementSpace): Range => {
    if (wanted === space) return piece;
    if (wanted === "entry") return { first: 0, last: shape.vocab };
    if (space === "batch") return { first: 0, last: countOf(shape, wanted) };
    if (wanted === "token") {
      const begins = beginsOf(shape, space);
      return { first: begins(piece.first), last: begins(piece.last) };
    }
    if (space === "group" && wanted === "sequence") {
      const begins = running(shape.groups ?? []);
      return { first: begins[piece.first] as number, last: begins[piece.last] as number };
    }
    throw new RangeError(`a chunk of whole ${space}s does not determine a ${wanted}`);
  };
  return { rows, range };
}

/** The first token of each element of a space; of the one after the last, the number of tokens. */
function beginsOf(shape: BatchShape, space: ElementSpace): (element: number) => number {
  if (space === "token") return (t) => t;
  if (space === "batch") return (batch) => batch * shape.tokens;
  const sequences = running(shape.lengths);
  if (space === "sequence") return (s) => sequences[s] as number;
  const groups = running(shape.groups ?? []);
  return (g) => sequences[groups[g] as number] as number;
}

/** Sums of all counts before each, up to that of all. */
export function running(counts: ArrayLike<number>): Int32Array {
  const sums = new Int32Array(counts.length + 1);
  for (let i = 0; i < counts.length; i++) sums[i + 1] = (sums[i] as number) + (counts[i] as number);
  return sums;
}
