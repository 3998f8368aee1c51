/**
 * The ops by name, and the types of what each knows. The tables beside this file have a row for every name: an op without one, or a row without one
 * of its parts, does not compile.
 */
import type { Space } from "../spaces.js";

/** Elementwise ops, by how many operands they have. */
export type UnaryOp =
  | "neg"
  | "not"
  | "log"
  | "exp"
  | "exp2"
  | "log1p"
  | "expm1"
  | "sqrt"
  | "square"
  | "tanh"
  | "erf"
  | "sigmoid"
  | "softplus"
  | "logSigmoid"
  | "log1mexp"
  | "abs"
  | "sign"
  | "floor"
  | "isFinite"
  | "stopGradient";
export type ComparisonOp = "eq" | "ne" | "lt" | "le" | "gt" | "ge";
export type BinaryOp =
  | ComparisonOp
  | "mulAdjoint"
  | "mulNoNan"
  | "exponent"
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "pow"
  | "and"
  | "or"
  | "min"
  | "max";
export type TernaryOp = "where" | "clamp" | "logprob" | "scaledExponent";
export type ElementwiseOp = UnaryOp | BinaryOp | TernaryOp;

/** Ops that read a whole row. */
export type RowOp = "logprobAt" | "rowLogsumexp" | "softmax" | "logSoftmax" | "at";

/** Ops without operands. */
export type LeafOp = "constant" | "config" | "input" | "isAt" | "index" | "placeInGroup";

export type Op = ElementwiseOp | RowOp | LeafOp | "fold" | "reduce";

export type FoldKind = "sum" | "max" | "min";

/** The reductions, by the names that authors call. */
export const REDUCTIONS = ["sum", "mean", "variance", "std", "amax", "amin", "logsumexp", "count"] as const;
/** One of {@link REDUCTIONS}. */
export type Reduction = (typeof REDUCTIONS)[number];

/** An op knows nothing beside its operands, but for these. */
interface Attributes {
  readonly constant: { readonly value: number };
  readonly config: { readonly name: string };
  /** A leaf whose numbers come from outside. */
  readonly input: { readonly differentiable: boolean; readonly name: string; readonly default: number | null };
  /** `index`: the input, an i32 in token space, that says which entry of the row is meant. */
  readonly at: { readonly index: string };
  readonly isAt: { readonly index: string };
  readonly logprobAt: { readonly index: string };
  readonly fold: {
    readonly kind: FoldKind;
    /** The space whose elements are folded. The operand may live in a coarser one: it counts once per element. */
    readonly from: Space;
    /** Of a fold that picks an element: which of its segment, from 0. */
    readonly picks?: number;
  };
  /** A reduction as its author wrote it, until it is spelt out in folds. */
  readonly reduce: { readonly reduction: Reduction; readonly unbiased: boolean };
}
export type NoAttribute = Readonly<Record<never, never>>;
export type AttributeOf<O extends Op> = O extends keyof Attributes ? Attributes[O] : NoAttribute;
