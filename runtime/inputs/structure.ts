/** How a batch is cut: counts of every space, the index arrays that kernels walk it by, and the extents of a plan's buffers. */
import { type Between, CHUNK, type ElementSpace, type Extent, type Structure } from "../../codegen/schedule/plan.js";
import { isFiner } from "../../dsl/spaces.js";

/** The shape of one batch, checked. */
export interface BatchShape {
  /** Tokens of each sequence. */
  readonly lengths: readonly number[];
  /** Sequences of each group; null where the caller gave none. */
  readonly groups: readonly number[] | null;
  /** Entries of a row; 0 from `policy_logprobs`. */
  readonly vocab: number;
  readonly tokens: number;
}

/** Elements of a space. */
export function countOf(shape: BatchShape, space: ElementSpace): number {
  switch (space) {
    case "token":
      return shape.tokens;
    case "sequence":
      return shape.lengths.length;
    case "group":
      return shape.groups?.length ?? 0;
    case "entry":
      return shape.vocab;
    default:
      return 1;
  }
}

/** For each segment of `to` its number of elements of `from`. To `batch` there is one segment, the whole. */
export function segmentLengths(shape: BatchShape, [from, to]: Between): readonly number[] {
  if (from === to) return new Array<number>(countOf(shape, from)).fill(1);
  if (isFiner(to, from)) throw new RangeError(`no segments from ${from} to ${to}`);
  if (to === "batch") return [countOf(shape, from)];
  if (from === "token" && to === "sequence") return shape.lengths;
  if (from === "sequence" && to === "group") return shape.groups ?? [];
  let sequence = 0;
  return (shape.groups ?? []).map((count) => {
    let tokens = 0;
    for (const end = sequence + count; sequence < end; sequence++) tokens += shape.lengths[sequence] as number;
    return tokens;
  });
}

/** The int32 array of a {@link Structure}. */
export function structureArray(shape: BatchShape, structure: Structure): Int32Array {
  const segments = segmentLengths(shape, structure.between);
  if (structure.kind === "segmentIds") {
    const result = new Int32Array(countOf(shape, structure.between[0]));
    let element = 0;
    for (let segment = 0; segment < segments.length; segment++) {
      const end = element + (segments[segment] as number);
      result.fill(segment, element, end);
      element = end;
    }
    return result;
  }
  const result = new Int32Array(segments.length + 1);
  let position = 0;
  for (let segment = 0; segment < segments.length; segment++) {
    result[segment] = position;
    position += structure.kind === "offsets" ? (segments[segment] as number) : chunks(segments[segment] as number);
  }
  result[segments.length] = position;
  return result;
}

/** Elements of a buffer for this batch. */
export function extentOf(shape: BatchShape, extent: Extent): number {
  if ("per" in extent) {
    const count = extent.per === "row" ? shape.tokens * shape.vocab : countOf(shape, extent.per);
    return count + (extent.plus ?? 0);
  }
  const segments = segmentLengths(shape, extent.chunksOf);
  let total = extent.segments ? segments.length : 0;
  for (const length of segments) total += chunks(length);
  return total;
}

function chunks(elements: number): number {
  return Math.ceil(elements / CHUNK);
}

/** Where a token lies: its datum, and its place in it. */
export function locate(shape: BatchShape, token: number): { readonly datum: number; readonly token: number } {
  let rest = token;
  for (let datum = 0; datum < shape.lengths.length; datum++) {
    const length = shape.lengths[datum] as number;
    if (rest < length) return { datum, token: rest };
    rest -= length;
  }
  return { datum: shape.lengths.length, token: rest };
}
