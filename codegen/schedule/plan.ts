/**
 * A plan, the result of compiling a program: data, serialisable as JSON. The planner writes it, `lossc emit --plan` prints it, the runtime
 * allocates its buffers and the addon executes it. Nothing here depends on a device. What a loss adds stands in `loss-plan.ts`.
 */
import type { InputDtype } from "../../dsl/dtypes.js";
import type { ElementSpace } from "../../dsl/spaces.js";

/** Elements in one leaf of a fold over tokens, sequences or groups. Every such fold is a fixed tree over chunks of this size. */
export const CHUNK = 1024;

/** How numbers lie in memory. A row's gradient has the dtype of the row. */
export type BufferDtype = InputDtype | "f64" | "i32" | "u32";

/** The size of an element, in the order in which error messages list the dtypes. */
export const BYTES = { f32: 4, bf16: 2, f16: 2, f64: 8, i32: 4, u32: 4 } as const satisfies Record<BufferDtype, number>;

/** The spaces that a plan's kernels and buffers are indexed by. */
export type { ElementSpace };

/** A step from a finer space to a coarser one. To `batch` the segments are the whole; else consecutive runs of elements. */
export type Between = readonly [from: ElementSpace, to: ElementSpace];

/** How many elements a buffer has. `row` is token × vocabulary. */
export type Extent =
  | {
      readonly per: ElementSpace | "row";
      /** Added to the count: offsets have one element more. */
      readonly plus?: number;
    }
  /** One per chunk of every segment; with `segments`, followed by one per segment. */
  | { readonly chunksOf: Between; readonly segments?: boolean };

export interface PlanBuffer {
  readonly id: number;
  /**
   * - `input`: given by the caller under `name`;
   * - `structure`: made by the runtime from `lengths` and `groups`, see {@link Structure};
   * - `scratch`: written and read by kernels; `counter`: scratch that is zero before the first call and that kernels leave zero;
   * - `result`: read back by the caller.
   */
  readonly role: "input" | "structure" | "scratch" | "counter" | "result";
  readonly name: string;
  readonly dtype: BufferDtype;
  readonly extent: Extent;
  /** Every element's value where the caller gives none: the kernel then receives a null pointer. */
  readonly default?: number;
  readonly structure?: Structure;
  /** Every byte is set to this before each call. */
  readonly fill?: 0 | 255;
}

/**
 * Index arrays of a {@link Between} to another space than `batch`, all int32.
 * - `segmentIds`: for each element the segment that holds it;
 * - `offsets`: for each segment its first element, and after the last the number of elements;
 * - `chunkOffsets`: for each segment the number of its first chunk, and after the last the number of chunks. A segment of n elements has ceil(n /
 *   CHUNK) chunks.
 */
export interface Structure {
  readonly kind: "segmentIds" | "offsets" | "chunkOffsets";
  readonly between: Between;
}

/** One field of a kernel's argument struct. Every field takes eight bytes: a pointer, an int64 or a float64. */
export type PlanArgument =
  | {
      readonly kind: "buffer";
      readonly buffer: number;
      /** Set where the kernel stores through the pointer. */
      readonly writes?: true;
    }
  | { readonly kind: "config"; readonly name: string }
  /** The count of elements of a space, or the vocabulary. int64. */
  | { readonly kind: "size"; readonly of: ElementSpace | "vocab" }
  /** The elements that a launch visits: from `first` up to, and without, `last`. int64. */
  | { readonly kind: "range"; readonly end: "first" | "last" }
  /**
   * A pointer to int32 per token: which of the rows in memory is the token's, negative where it has none (then its mask is 0 and such rows are
   * not read). Null where row i is that of token `first` + i.
   */
  | { readonly kind: "rows" }
  /** int64, 1 where the caller asks that rows are not read whose mask is 0. */
  | { readonly kind: "skipMasked" };

export interface PlanKernel {
  /** `k0`, `k1`, … in the order of execution. A kernel is launched over every element of its space, and not at all where there is none. */
  readonly id: string;
  readonly kind: "sweep" | "step";
  readonly space: ElementSpace;
  readonly arguments: readonly PlanArgument[];
  /** Values that the lanes of a row exchange at once, at most; 0 for a step. */
  readonly exchanged: number;
  /** The kernel's text for every target: a struct of the same number in upper case, written in the prelude's primitives. */
  readonly body: string;
}

/** The kernels of a program and their memory. */
export interface KernelPlan {
  /** Of the program. */
  readonly name: string;
  readonly sweeps: number;
  readonly steps: number;
  readonly buffers: readonly PlanBuffer[];
  readonly kernels: readonly PlanKernel[];
  /** Bytes that one token costs in memory: its rows (per entry), and the numbers beside (per token). */
  readonly bytes: { readonly perEntry: number; readonly perToken: number };
}

/** A word of a status buffer in which no kernel has flagged an element: more than any index. */
export const NO_FAULT = 0xffffffff;

/** Words of the status buffer: the smallest element for which a kernel saw the fault, {@link NO_FAULT} where none. */
export const STATUS = {
  /** Token whose index lies outside its row. */
  index: 0,
  /** Token with a value that must be finite and is not. */
  token: 1,
  /** Sequence with such a value. */
  sequence: 2,
  /** Group with such a value. */
  group: 3,
  /** Vocabulary entry of a head whose gradient is not finite. */
  head: 4,
} as const;
