/** The target `cpu`: packets of a processor's SIMD registers. */
import { MOST_LANES } from "../constants.js";
import type { RowShape } from "../geometry.js";
import { cxx } from "./cxx.js";
import type { Entry, Target } from "./target.js";

/** Rows that a thread works on at once: one, or as many as a packet has lanes. */
export type RowsAtOnce = 1 | typeof MOST_LANES;

/**
 * Bytes of a row up to which several are worked on at once. What is done once per row then costs a part of it each, which matters less the longer a
 * row is, while all of them should stay in the core's first caches from one phase to the next: measured, 1024 floats gain a tenth, and 1536 nothing
 * where rows come from memory.
 */
const AT_ONCE_BYTES = 4096;

export function rowsAtOnce({ vocab, entryBytes }: RowShape): RowsAtOnce {
  return vocab * entryBytes.reduce((sum, bytes) => sum + bytes, 0) <= AT_ONCE_BYTES ? MOST_LANES : 1;
}

/** The elements of a step that a thread takes at least. */
const STEP_ELEMENTS = 1024;

const launch = (perBlock: number): Entry["launch"] => ({ block: 1, perBlock, cluster: 1, shared: 0 });

export const cpu = {
  prelude: "cpu",
  compiler: cxx({ usual: "-O3", long: "-O1" }),
  binariesFor: "processor",
  architecture: null,
  // Packets are loaded from anywhere.
  alignment: 1,
  runBytes: 256,
  sweep: ({ shape, long }) => {
    // Of several rows a compiler writes lane by lane the operations that the processor has no instruction for, and long text is long enough.
    const rows = long ? 1 : rowsAtOnce(shape);
    return {
      comment: rows === 1 ? "a thread works on one row at once." : "a thread works on a row in each lane at once.",
      arguments: [rows === 1 ? 1 : "kLanes"],
      launch: launch(rows),
    };
  },
  step: { comment: null, arguments: [], launch: launch(STEP_ELEMENTS) },
} as const satisfies Target;
