/**
 * Simplification: rules that keep every value (NaN and infinity included) but for the sign of a zero and the order of rounding. Constants were folded
 * when the nodes were built.
 */
import { byStructure, constantValue, type Expression } from "../dsl/expression.js";
import { operandsFirst, rewriter } from "../dsl/graph.js";
import {
  absorb,
  add,
  chain,
  div,
  exp,
  exp2,
  exponent,
  type FoldKind,
  fold,
  isTarget,
  logits,
  mul,
  neg,
  sub,
  where,
  ZERO,
} from "../dsl/ops/index.js";
import { isFiner, type Space } from "../dsl/spaces.js";
import { type LossGraph, mapGraph } from "./expand.js";
import { takenApart, targetEntry } from "./linear.js";
import { entryAtTarget } from "./lower.js";
import { isMaximum } from "./ranks.js";
import { isExponential, scaledRow } from "./shapes.js";

export function simplify(graph: LossGraph): LossGraph {
  return mapGraph(graph, simplifier());
}

/** One simplifier for several expressions: what they share is simplified once. */
export function simplifier(): (root: Expression) => Expression {
  const known = new Map<Expression, Expression>();
  const deep = rewriter((x) => settle(x));
  const settle = (x: Expression): Expression => {
    const seen = known.get(x);
    if (seen) return seen;
    const next = rule(x, settle, deep);
    const result = next === x ? x : settle(next);
    known.set(x, result);
    return result;
  };
  return deep;
}

type Settle = (x: Expression) => Expression;

function rule(x: Expression, settle: Settle, deep: Settle): Expression {
  const [a, b] = x.operands as [Expression, Expression];
  switch (x.op) {
    case "add":
      if (is(a, 0)) return b;
      if (is(b, 0)) return a;
      if (b.op === "neg") return settle(sub(a, b.operands[0] as Expression));
      if (a.op === "neg") return settle(sub(b, a.operands[0] as Expression));
      return x;
    case "sub":
      if (is(b, 0)) return a;
      if (is(a, 0)) return settle(neg(b));
      if (b.op === "neg") return settle(add(a, b.operands[0] as Expression));
      return x;
    case "neg":
      return negation(x, a, settle);
    case "mul":
      return product(x, a, b, settle);
    case "div":
      if (is(b, 1)) return a;
      // One division per token rather than one per entry.
      return isFiner(a.space, b.space) && a.space === "vocab" ? settle(mul(a, settle(div(1, b)))) : x;
    case "exp":
      return exponential(x, a, settle);
    case "chain":
      return adjointProduct(x, a, b, settle);
    case "absorb":
      return absorbing(x, a, b, settle);
    case "where":
      return choice(x, settle);
    case "fold":
      return summation(x, a, settle, deep);
    default:
      return x;
  }
}

const is = (x: Expression, value: number) => constantValue(x) === value;

function negation(x: Expression, a: Expression, settle: Settle): Expression {
  if (a.op === "neg") return a.operands[0] as Expression;
  if (a.op === "sub") return settle(sub(a.operands[1] as Expression, a.operands[0] as Expression));
  return x;
}

function product(x: Expression, a: Expression, b: Expression, settle: Settle): Expression {
  if (is(a, 1)) return b;
  if (is(b, 1)) return a;
  if (is(a, -1)) return settle(neg(b));
  if (is(b, -1)) return settle(neg(a));
  // A sign belongs to the factor that is computed less often.
  if (b.op === "neg")
    return isFiner(b.space, a.space)
      ? settle(mul(settle(neg(a)), b.operands[0] as Expression))
      : settle(neg(settle(mul(a, b.operands[0] as Expression))));
  if (a.op === "neg" && !isFiner(b.space, a.space)) return settle(neg(settle(mul(a.operands[0] as Expression, b))));
  return x;
}

/** Over a row: what a logSoftmax is exp of is a softmax, which needs no logarithm and no phase of its own; exp(y − max y) is a power of two. */
function exponential(x: Expression, a: Expression, settle: Settle): Expression {
  if (a.space !== "vocab") return x;
  const [y, shift] = a.operands as [Expression, Expression];
  if (a.op === "mul" && is(y, Math.LN2) && shift.op === "exponent") return settle(exp2(shift));
  if (a.op !== "sub" || y.space !== "vocab" || shift.space === "vocab") return x;
  if (shift.op === "log") return settle(mul(settle(exp(y)), settle(div(1, shift.operands[0] as Expression))));
  return isMaximum(shift) && shift.operands[0] === y ? settle(exp2(exponent(y, shift))) : x;
}

/** A product in vocab space. It is no `chain`: an entry that is exactly 0 stays 0 also beside a factor that is infinite or NaN. */
function absorbing(x: Expression, a: Expression, b: Expression, settle: Settle): Expression {
  if (is(a, 0) || is(b, 0)) return ZERO;
  if (is(a, 1)) return b;
  if (is(b, 1)) return a;
  if (is(a, -1)) return settle(neg(b));
  if (is(b, -1)) return settle(neg(a));
  if (a.op === "neg") return settle(neg(settle(absorb(a.operands[0] as Expression, b))));
  if (b.op === "neg") return settle(neg(settle(absorb(a, b.operands[0] as Expression))));
  // One order for both, so that equal products are the same node; what does not depend on the entry comes first.
  if (a.space === b.space ? byStructure(a, b) > 0 : a.space === "vocab") return settle(absorb(b, a));
  for (const [p, q] of [
    [a, b],
    [b, a],
  ] as const) {
    // A branch that got nothing passes nothing on.
    if (p.op === "where" && is(p.operands[2] as Expression, 0)) {
      return settle(where(p.operands[0] as Expression, settle(absorb(p.operands[1] as Expression, q)), 0));
    }
  }
  return x;
}

function adjointProduct(x: Expression, g: Expression, d: Expression, settle: Settle): Expression {
  const factor = constantValue(g);
  const derivative = constantValue(d);
  if (factor === 0 || derivative === 0) return ZERO;
  if (factor !== undefined || (derivative !== undefined && Number.isFinite(derivative))) return settle(mul(g, d));
  if (d.op === "neg") return settle(chain(settle(neg(g)), d.operands[0] as Expression));
  // A branch that got nothing passes nothing on.
  if (g.op === "where") {
    const [c, a, b] = g.operands as [Expression, Expression, Expression];
    if (is(a, 0)) return settle(where(c, 0, settle(chain(b, d))));
    if (is(b, 0)) return settle(where(c, settle(chain(a, d)), 0));
  }
  return x;
}

/** Whether a vocabulary expression is exactly 0 by itself where the logit is -inf. */
const vanishes = operandsFirst((x): boolean => {
  const [a, b] = x.operands as [Expression, Expression];
  switch (x.op) {
    case "exp":
      return a.op === "sub" && a.operands[0] === logits && (a.operands[1] as Expression).space !== "vocab";
    case "exp2":
      // Where the row's factor is not above 0, its maximum is +∞ or NaN, and these are NaN.
      return isExponential(x) && scaledRow(a.operands[0] as Expression)?.row === logits;
    case "neg":
      return vanishes(a);
    case "mul":
    case "chain":
    case "absorb":
      return vanishes(a) || vanishes(b);
    default:
      return false;
  }
});

/** Whether x is 0 already wherever the condition does not hold: one of the masks around it is the same. */
function hasMask(x: Expression, condition: Expression): boolean {
  let inner = x;
  while (inner.op === "where" && is(inner.operands[2] as Expression, 0)) {
    if (inner.operands[0] === condition) return true;
    inner = inner.operands[1] as Expression;
  }
  return false;
}

function choice(x: Expression, settle: Settle): Expression {
  const [c, a, b] = x.operands as [Expression, Expression, Expression];
  const known = constantValue(c);
  if (known !== undefined) return known ? a : b;
  if (a === b) return a;
  if (c.op === "ne" && c.operands[0] === logits && is(b, 0) && vanishes(a)) return a;
  if (c.op === "not") return settle(where(c.operands[0] as Expression, b, a));
  if (a.op === "where" && a.operands[0] === c) return settle(where(c, a.operands[1] as Expression, b));
  if (is(b, 0) && hasMask(a, c)) return a;
  if (b.op === "where" && b.operands[0] === c) return settle(where(c, a, b.operands[2] as Expression));
  if (c.op === "ne" && c.operands[0] === a && c.operands[1] === b) return a;
  return x;
}

/** The expression as it is at every entry but the target's. */
function withoutTarget(x: Expression): Expression {
  return rewriter((y) => (y === isTarget ? ZERO : y))(x);
}

/** Factors that the fold does not run over leave a sum; so does a sign. */
function summation(x: Expression, a: Expression, settle: Settle, deep: Settle): Expression {
  if (x.attribute.kind !== "sum") return x;
  if (is(a, 0)) return ZERO;
  const from = x.attribute.from as Space;
  const inner = (y: Expression) => settle(fold(x.attribute.kind as FoldKind, y, from, x.space));
  if (from === "vocab") {
    const entry = targetEntry(a);
    if (entry) return deep(entry);
    const parts = takenApart(a, (row) => fold("sum", row, from, x.space));
    if (parts) return deep(parts.reduce((sum, part) => add(sum, part)));
    const apart = withoutTarget(a);
    if (apart === a) return x;
    // What the target's entry adds beside the others is added by itself: within the row no entry knows whether it is the target's.
    return deep(add(inner(apart), sub(entryAtTarget(a), entryAtTarget(apart))));
  }
  if (a.op === "neg") return settle(neg(inner(a.operands[0] as Expression)));
  if (a.op === "mul" || a.op === "chain") {
    const [p, q] = a.operands as [Expression, Expression];
    const outer = (y: Expression) => !isFiner(y.space, x.space);
    if (outer(p) && !outer(q)) return settle(a.op === "mul" ? mul(p, inner(q)) : chain(p, inner(q)));
    if (outer(q) && !outer(p) && a.op === "mul") return settle(mul(inner(p), q));
  }
  return x;
}
