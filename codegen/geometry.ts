/**
 * How kernels are spread over threads, as data. Geometry follows from target and vocabulary alone, never from the number of tokens: a token's
 * numbers have the same bits in every batch.
 */
import type { Target } from "./plan.js";

export interface Geometry {
  /** Lanes that share a row. */
  readonly team: number;
  /** Threads of a sweep's block. */
  readonly block: number;
  /** Threads of a step's block, one element each. */
  readonly step: number;
}

/** Rows of up to `entries` entries get this geometry; the row is read again through the cache in every phase. */
const SIMT: readonly { readonly entries: number; readonly geometry: Geometry }[] = [
  // A short row fits a warp's registers a few times over; four rows share a block, so that blocks are not too many.
  { entries: 1024, geometry: { team: 32, block: 128, step: 256 } },
  // Eight warps reach memory bandwidth on rows of this size, and many blocks fit a multiprocessor.
  { entries: 16384, geometry: { team: 256, block: 256, step: 256 } },
  // Long rows: more loads in flight per row, so that fewer rows compete for the cache that their later phases read from.
  { entries: Number.POSITIVE_INFINITY, geometry: { team: 512, block: 512, step: 256 } },
];

/** One thread works on whole rows; steps are handed out by the chunk. */
const CPU: Geometry = { team: 1, block: 1, step: 1024 };

export function geometryFor(target: Target, vocab: number): Geometry {
  if (target === "cpu") return CPU;
  return (SIMT.find(({ entries }) => vocab <= entries) as (typeof SIMT)[number]).geometry;
}
