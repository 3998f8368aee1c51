/**
 * From the compiler's expressions to the ones that a person reads. Masks of tokens of weight 0 and of entries that are not there are left out, and
 * said in words beside the formula. Wherever every token counts and every number is finite, the value stays the same.
 */
import { constantValue, type Expression } from "../../dsl/expression.js";
import { bottomUp, withOperands } from "../../dsl/graph.js";
import * as ops from "../../dsl/ops/index.js";
import { exp, fold, not, ONE, pick, softmax, where, ZERO } from "../../dsl/ops/index.js";
import type { ComparisonOp } from "../../dsl/ops/names.js";
import { atTarget, isTarget, logits, targetLogprob, weights } from "../../dsl/policy.js";
import { isPerEntry, type Space } from "../../dsl/spaces.js";
import { reduced } from "./nodes.js";
import {
  fromProduct,
  multipliedOut,
  number,
  type Product,
  productOf,
  raised,
  splitFactors,
  termsOf,
  times,
  total,
} from "./products.js";

export interface TidyOptions {
  /** The author's expressions, by those into which the compiler spelt them out. */
  readonly origin?: ReadonlyMap<Expression, Expression>;
  /** Whether `stopGradient` is shown; in a gradient it has done its work. */
  readonly stops?: boolean;
}

/** One tidier for several expressions: their shared parts stay shared. */
export function tidier({ origin = new Map(), stops = false }: TidyOptions = {}): (root: Expression) => Expression {
  const tidy: (root: Expression) => Expression = bottomUp((x, operands: readonly Expression[]) => {
    const written = origin.get(x);
    return written ? tidy(written) : rule(x, operands, stops);
  });
  return tidy;
}

function rule(x: Expression, operands: readonly Expression[], stops: boolean): Expression {
  const [a = ZERO, b = ZERO, c = ZERO] = operands;
  switch (x.op) {
    case "add":
      return total([...termsOf(a), ...termsOf(b)]);
    case "sub":
      return total([...termsOf(a), ...termsOf(b).map((term) => times(number(-1), term))]);
    case "neg":
      return fromProduct(times(number(-1), productOf(a)));
    case "mul":
    case "mulAdjoint":
    case "mulNoNan":
      return fromProduct(times(productOf(a), productOf(b)));
    case "div":
      return fromProduct(times(productOf(a), raised(productOf(b), -1)));
    case "square":
      return fromProduct(raised(productOf(a), 2));
    case "pow": {
      const n = constantValue(b);
      return n === undefined ? withOperands(x, operands) : fromProduct(raised(productOf(a), n));
    }
    case "where":
      return choice(a, b, c);
    case "not":
      return negation(a);
    case "stopGradient":
      return stops ? withOperands(x, operands) : a;
    case "exp":
      return a.op === "logSoftmax" ? softmax(a.operands[0]) : withOperands(x, operands);
    case "sqrt":
      return a.op === "reduce" && a.attribute.reduction === "variance"
        ? reduced("std", a.operands[0], a.space, a.attribute.unbiased)
        : withOperands(x, operands);
    case "at":
      return entry(productOf(a));
    case "fold":
      return folded(x, a);
    case "reduce":
      return reduction(x, a);
    default:
      return withOperands(x, operands);
  }
}

const REVERSED = { lt: ops.ge, le: ops.gt, gt: ops.le, ge: ops.lt, eq: ops.ne, ne: ops.eq } as const satisfies Record<
  ComparisonOp,
  unknown
>;
type Comparison = Extract<Expression, { readonly op: ComparisonOp }>;
const isComparison = (c: Expression): c is Comparison => Object.hasOwn(REVERSED, c.op);

function negation(c: Expression): Expression {
  if (isComparison(c)) return REVERSED[c.op](...c.operands);
  return c.op === "not" ? c.operands[0] : not(c);
}

const indicator = (c: Expression): Expression => where(c, ONE, ZERO);

function choice(c: Expression, a: Expression, b: Expression): Expression {
  if (a === b || isMask(c)) return a;
  // The shift of a logsumexp.
  if (c.op === "isFinite" && c.operands[0] === a && b === ZERO && (a.op === "fold" || a.op === "reduce")) return a;
  if (a.dtype === "bool") return where(c, a, b);
  if (b === ZERO) return fromProduct(times(productOf(indicator(c)), productOf(a)));
  if (a === ZERO) return fromProduct(times(productOf(indicator(negation(c))), productOf(b)));
  // Factors of both branches stand before them.
  const [left, right] = [productOf(a), productOf(b)];
  const shared = new Map([...left.powers].filter(([x, n]) => right.powers.get(x) === n));
  // So does a number, where one branch is that number and the other a multiple of it.
  const numbers = left.powers.size === shared.size && right.powers.size === shared.size;
  const front: Product = { factor: numbers ? right.factor : left.factor < 0 && right.factor < 0 ? -1 : 1, powers: shared };
  const rest = raised(front, -1);
  return fromProduct(times(front, productOf(where(c, fromProduct(times(left, rest)), fromProduct(times(right, rest))))));
}

/** Whether a condition only asks if an element counts. */
function isMask(c: Expression): boolean {
  if (c.op === "and") return c.operands.every(isMask);
  if (c.op !== "ne" && c.op !== "gt") return false;
  const [a, b] = c.operands;
  if (c.op === "ne") return (a === weights && b === ZERO) || (a === logits && constantValue(b) === Number.NEGATIVE_INFINITY);
  return b === ZERO && a.op === "fold" && a.operands[0] === ONE;
}

function reduction(x: Extract<Expression, { readonly op: "reduce" }>, y: Expression): Expression {
  // A mask is counted by the sum of its truth values.
  const kind = x.attribute.reduction === "count" && y.dtype === "bool" ? "sum" : x.attribute.reduction;
  const given = x.operands[0].space;
  if (y.space === "batch" || kind === "sum") return kind === "sum" ? sumOf(y, given, x.space) : withOperands(x, [y]);
  if (kind === "count") return fold("sum", ONE, given, x.space);
  if (kind === "mean") {
    return fromProduct(times(productOf(sumOf(y, given, x.space)), raised(productOf(fold("sum", ONE, given, x.space)), -1)));
  }
  return withOperands(x, [y]);
}

function folded(x: ops.Fold, y: Expression): Expression {
  const { picks, kind, from } = x.attribute;
  if (picks !== undefined) return picked(y, picks);
  if (kind === "sum") return sumOf(y, from, x.space);
  return y.space === from ? reduced(kind === "max" ? "amax" : "amin", y, x.space) : y;
}

/** pick(a·x) is a·pick(x) where a is the group's. */
function picked(y: Expression, i: number): Expression {
  const mark = indicator(ops.eq(ops.placeInGroup, i));
  const [outer, inner] = splitFactors(productOf(y), "group");
  const rest = new Map(inner.powers);
  rest.delete(mark);
  // A group has one sequence of that number.
  if (rest.size === 0)
    return fromProduct(outer.powers.size === 0 && outer.factor === 1 ? productOf(fold("sum", ONE, "sequence", "group")) : outer);
  return fromProduct(times(outer, productOf(pick(fromProduct({ factor: 1, powers: rest }), i))));
}

function sumOf(y: Expression, from: Space, to: Space): Expression {
  if (from === "batch") return y;
  if (isPerEntry(from)) return to === "token" ? overRow(y) : reduced("sum", y, to);
  const [outer, inner] = splitFactors(productOf(y), to);
  return fromProduct(times(outer, productOf(plainSum(fromProduct(inner), from, to))));
}

function plainSum(x: Expression, from: Space, to: Space): Expression {
  return x.space === from ? reduced("sum", x, to) : fold("sum", x, from, to);
}

/** Σ over the row. Sums that are known leave it: that of a softmax is 1, and a product with 1[v = y] is the target's entry. */
function overRow(y: Expression): Expression {
  const known: Product[] = [];
  const rest: Product[] = [];
  for (const term of multipliedOut(y)) {
    const [outer, inner] = splitFactors(term, "token");
    const value = knownSum(inner);
    if (value) known.push(times(outer, productOf(value)));
    else rest.push(term);
  }
  if (known.length === 0) return unsplit(y);
  return total([...known, ...(rest.length > 0 ? termsOf(unsplit(total(rest))) : [])]);
}

function unsplit(y: Expression): Expression {
  const [outer, inner] = splitFactors(productOf(y), "token");
  return fromProduct(times(outer, productOf(plainSum(fromProduct(inner), "vocab", "token"))));
}

function knownSum(inner: Product): Expression | null {
  const [only] = inner.powers;
  if (!only) return fold("sum", ONE, "vocab", "token");
  if (inner.powers.size === 1 && only[0].op === "softmax" && only[1] === 1) return ONE;
  if (!inner.powers.has(isTarget)) return null;
  const powers = new Map(inner.powers);
  powers.delete(isTarget);
  return entry({ factor: 1, powers });
}

/** The target's entry of a product. */
function entry({ factor, powers }: Product): Expression {
  const entries = [...powers].map(([x, n]) => raised(productOf(entryOf(x)), n));
  return fromProduct(times(number(factor), ...entries));
}

function entryOf(x: Expression): Expression {
  if (!isPerEntry(x.space)) return x;
  if (x === isTarget) return ONE;
  if (x.op === "logSoftmax") return targetLogprob(x.operands[0]);
  if (x.op === "softmax") return exp(targetLogprob(x.operands[0]));
  return atTarget(x);
}
