/**
 * Ops that change the space: folds from a finer space to a coarser one, what is known of a row of logits, and the leaves.
 * Public reductions (`reductions.ts`) are written in these by the pass `codegen/expand.ts`.
 */
import { constant, constantValue, Expression } from "../expression.js";
import type { Space } from "../spaces.js";
import { absorb, and, chain, div, eq, sub, where } from "./arithmetic.js";
import type { Built } from "./registry.js";

export type FoldKind = "sum" | "max" | "min";

const node = (op: string, operands: readonly Expression[], space: Space, attribute?: Expression["attribute"]): Built =>
  Expression.intern(op, operands, space, "f32", attribute) as Built;

/** Folds x over every element of space `from` that belongs to one element of `to`. x may live in a coarser space than `from`: it counts once per element. */
export const fold = (kind: FoldKind, x: Expression, from: Space, to: Space): Built =>
  node("fold", [x.dtype === "bool" ? where(x, 1, 0) : x], to, { kind, from });

/** What reaches the operand of a fold: a sum hands its adjoint to all, a maximum shares it evenly among ties. */
export function foldGradient(g: Expression, self: Expression): Expression {
  const [x] = self.operands as [Expression];
  if (self.attribute.kind === "sum") return g;
  const from = self.attribute.from as Space;
  // What a mask put in place of an element ties with none, also where all that counts is infinite.
  const mask = x.op === "where" && !Number.isFinite(constantValue(x.operands[2] as Expression) ?? 0) ? x.operands[0] : undefined;
  const ties = mask ? and(mask, eq(x, self)) : eq(x, self);
  return where(ties, chain(g, div(1, fold("sum", where(ties, 1, 0), from, self.space))), 0);
}

/** Leaves. `logits` is the policy's row; `isTarget` is 1 at the row's target and 0 elsewhere. */
export const logits: Built = node("logits", [], "vocab");
export const isTarget: Built = node("isTarget", [], "vocab");
/** The policy's logprobs where the caller brings them in place of logits. */
export const policyLogprobs: Built = node("policyLogprobs", [], "token");
/** Loss weights, 1 where none are given. */
export const weights: Built = input("weights", "token", 1);

export function input(name: string, space: Space, otherwise?: number): Built {
  return node("input", [], space, { name, default: otherwise ?? null });
}
export function config(name: string): Built {
  return node("config", [], "batch", { name });
}

/** log p(target) of the row x: (x_target − max) − log Σ exp(x − max). */
export const targetLogprob = (x: Expression): Built => node("targetLogprob", [x], "token");
/** log Σ exp x over the row. */
export const rowLogsumexp = (x: Expression): Built => node("rowLogsumexp", [x], "token");
export const softmax = (x: Expression): Built => node("softmax", [x], "vocab");
/** x − log Σ exp x over the row. */
export const logSoftmax = (x: Expression): Built => node("logSoftmax", [x], "vocab");
/** The target's entry of the row x. */
export const atTarget = (x: Expression): Built => node("atTarget", [x], "token");

/** The i-th sequence of each group. `picks` marks the fold, so that masks and checks can find it. */
export const pick = (x: Expression, i: number): Built =>
  node("fold", [where(eq(placeInGroup, i), x, 0)], "group", { kind: "sum", from: "sequence", picks: i });

/** The number of a sequence within its group, from 0. */
export const placeInGroup: Built = node("placeInGroup", [], "sequence");

/** What reaches the row of an op that reads one. */
export function rowGradient(g: Expression, self: Expression): Expression {
  const [x] = self.operands as [Expression];
  const overRow = (y: Expression) => fold("sum", y, "vocab", "token");
  switch (self.op) {
    case "targetLogprob":
      return chain(g, sub(isTarget, softmax(x)));
    case "rowLogsumexp":
      return chain(g, softmax(x));
    case "atTarget":
      return chain(g, isTarget);
    case "softmax":
      return absorb(self, sub(g, overRow(absorb(g, self))));
    default: // logSoftmax
      return sub(g, absorb(softmax(x), overRow(g)));
  }
}

export const ONE = constant(1);
export const ZERO = constant(0);
