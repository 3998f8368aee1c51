/**
 * A plan, the result of compiling a loss: data, serialisable as JSON. The planner writes it, `lossc emit --plan` prints it, the runtime
 * allocates its buffers and the addon executes it. Nothing here depends on a device.
 */
import type { ElementSpace } from "../../dsl/spaces.js";

/** Elements in one leaf of a fold over tokens, sequences or groups. Every such fold is a fixed tree over chunks of this size. */
export const CHUNK = 1024;

/** How logits lie in memory; their gradient has the same dtype. */
export type LogitsDtype = "f32" | "bf16" | "f16";
export type BufferDtype = LogitsDtype | "f64" | "i32" | "u32";

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
   * - `input`: given by the caller under `name` (`logits`, `target_tokens`, `weights`, `policy_logprobs` or an input of the loss);
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
 * Index arrays of a {@link Between} whose target is not `batch`, all int32.
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
   * A pointer to int32 per token: which of the rows in memory is the token's, negative where it has none (then its weight is 0 and rows of weight 0
   * are not read). Null where row i is that of token `first` + i.
   */
  | { readonly kind: "rows" }
  /** int64, 1 where the caller asks that rows of weight 0 are not read. */
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

export interface Plan {
  readonly format: 1;
  readonly loss: string;
  /** dtype of the logits; null where the caller brings `policy_logprobs`. */
  readonly logits: LogitsDtype | null;
  readonly sweeps: number;
  /** Sequences that every group must have, because the loss picks them; 0 where it picks none. */
  readonly groupSize: number;
  readonly steps: number;
  readonly buffers: readonly PlanBuffer[];
  readonly kernels: readonly PlanKernel[];
  /** Runtime scalars of the loss with their defaults. */
  readonly config: Readonly<Record<string, number>>;
  readonly results: PlanResults;
  /** Bytes that one token costs in memory: its logits and their gradient (per vocabulary entry), and the numbers beside (per token). */
  readonly bytes: { readonly perEntry: number; readonly perToken: number };
  /** From hidden states and a head in place of logits; null where the caller brings `policy_logprobs`. */
  readonly head: PlanHead | null;
}

/** The cost of a plan whose logits are computed chunk by chunk. */
export interface PlanHead {
  /** The elements whose tokens a sweep must all have seen before the next one; `token` where a sweep waits for no other token. */
  readonly waitsFor: ElementSpace;
  /** Matrix products of tokens × hidden size × vocabulary, where every such element lies in one chunk of tokens. */
  readonly products: number;
  /** And where one does not: then the logits of a chunk are computed once for every sweep. */
  readonly productsCut: number;
}

/** The buffers of a call's results. */
export interface PlanResults {
  /** float64 or float32, one element. */
  readonly loss: number;
  /** See {@link STATUS}. */
  readonly status: number;
  /** float32 per token; null from `policy_logprobs`. */
  readonly logprobs: number | null;
  /** Gradient of the logits (token × vocabulary, may share memory with the input `logits`) or of `policy_logprobs` (float32 per token). */
  readonly gradient: number;
  /** float64 or float32, one element each. */
  readonly metrics: readonly { readonly key: string; readonly buffer: number }[];
  readonly outputs: readonly { readonly key: string; readonly space: "token" | "sequence"; readonly buffer: number }[];
}

/** A word of a status buffer in which no kernel has flagged an element: more than any index. */
export const NO_FAULT = 0xffffffff;

/** Words of the status buffer: the smallest element for which a kernel saw the fault, {@link NO_FAULT} where none. */
export const STATUS = {
  /** Token whose target lies outside the vocabulary. */
  target: 0,
  /** Token with a non-finite loss or gradient. */
  token: 1,
  /** Sequence with a non-finite loss. */
  sequence: 2,
  /** Group with a non-finite loss. */
  group: 3,
  /** Vocabulary entry of a head whose gradient is not finite. */
  head: 4,
} as const;
