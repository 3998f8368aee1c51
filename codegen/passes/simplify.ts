/**
 * Simplification: rules that keep every value (NaN and infinity included) but for the sign of a zero and the order of rounding. Constants were folded
 * when the nodes were built.
 */
import { constantValue, type Expression } from "../../dsl/expression.js";
import { operandsFirst } from "../../dsl/graph.js";
import {
  add,
  byStructure,
  div,
  exp,
  exp2,
  exponent,
  isMaximum,
  log,
  mul,
  mulAdjoint,
  mulNoNan,
  ne,
  neg,
  not,
  sub,
  where,
  ZERO,
} from "../../dsl/ops/index.js";
import { isFiner, isPerEntry } from "../../dsl/spaces.js";
import { mapProgram, type Program } from "../program.js";
import { distributeSums } from "./distribute-sums.js";
import { isExponential, scaledRow } from "./patterns.js";
import { formOf } from "./products.js";
import { byOp, rewriterBy, rule, variable } from "./rules.js";

export function simplify(program: Program): Program {
  return mapProgram(program, simplifier());
}

/** One simplifier for several expressions: what they share is simplified once. */
export const simplifier = (): ((root: Expression) => Expression) => rewriterBy(RULES);

const isConstant = (x: Expression) => constantValue(x) !== undefined;

/** Any expressions, a condition and a constant; an entry of a row, and a value that is none. */
const [a, b, d] = [variable("a"), variable("b"), variable("d")];
const c = variable("c", () => true, "bool");
const k = variable("k", isConstant);
const entry = variable("entry", ({ space }) => isPerEntry(space));
const named = variable("named", ({ op }) => op === "at");
const value = variable("value", ({ space }) => !isPerEntry(space));

const isOfRow = (x: Expression) => !isPerEntry(x.space);

/** The rows where an entry of −∞ makes the entry of x exactly 0 by itself. */
const vanishesWith = operandsFirst((x): ReadonlySet<Expression> => {
  if (x.op === "exp") {
    const [y] = x.operands;
    return y.op === "sub" && isFiniteOrZero(y.operands[1]) ? new Set([y.operands[0]]) : NO_ROWS;
  }
  if (x.op === "exp2") {
    // Where the row's factor is not above 0, its maximum is +∞ or NaN, and these are NaN.
    const scaled = isExponential(x) && scaledRow(x.operands[0].operands[0]);
    return scaled ? new Set([scaled.row]) : NO_ROWS;
  }
  const form = formOf(x);
  if (form.kind === "negative") return vanishesWith(form.of);
  if (form.kind !== "product") return NO_ROWS;
  // A factor of the whole row that is not finite leaves no number in the row; an entry's own may be infinite where the other is 0.
  const [a, b] = form.factors;
  return union(
    form.zeros !== "none" || isOfRow(b) ? vanishesWith(a) : NO_ROWS,
    form.zeros === "either" || isOfRow(a) ? vanishesWith(b) : NO_ROWS,
  );
});

const NO_ROWS: ReadonlySet<Expression> = new Set();

function union(a: ReadonlySet<Expression>, b: ReadonlySet<Expression>): ReadonlySet<Expression> {
  return b.size === 0 ? a : a.size === 0 ? b : new Set([...a, ...b]);
}

/** The shift of a logsumexp: its maximum where that is finite, else 0. */
const isFiniteOrZero = (x: Expression) =>
  isOfRow(x) &&
  x.op === "where" &&
  x.operands[0].op === "isFinite" &&
  x.operands[0].operands[0] === x.operands[1] &&
  constantValue(x.operands[2]) === 0;

/** Whether x is 0 already wherever the condition does not hold: one of the masks around it is the same. */
function hasMask(x: Expression, condition: Expression): boolean {
  let inner = x;
  while (inner.op === "where" && constantValue(inner.operands[2]) === 0) {
    if (inner.operands[0] === condition) return true;
    inner = inner.operands[1];
  }
  return false;
}

const RULES = byOp([
  rule(add(0, b), b),
  rule(add(a, 0), a),
  rule(add(a, neg(b)), sub(a, b)),
  rule(add(neg(a), b), sub(b, a)),

  rule(sub(a, 0), a),
  rule(sub(0, b), neg(b)),
  rule(sub(a, neg(b)), add(a, b)),

  rule(neg(neg(a)), a),
  rule(neg(sub(a, b)), sub(b, a)),

  rule(mul(1, b), b),
  rule(mul(a, 1), a),
  rule(mul(-1, b), neg(b)),
  rule(mul(a, -1), neg(a)),
  // A sign belongs to the factor that is computed less often.
  rule(mul(a, neg(b)), mul(neg(a), b), (bound) => isFiner(bound(b).space, bound(a).space)),
  rule(mul(a, neg(b)), neg(mul(a, b))),
  rule(mul(neg(a), b), neg(mul(a, b)), (bound) => !isFiner(bound(b).space, bound(a).space)),

  rule(div(a, 1), a),
  // One division per token rather than one per entry. The named entry is divided alike, so that it has the same bits as in its row.
  rule(div(entry, value), mul(entry, div(1, value))),
  rule(div(named, value), mul(named, div(1, value))),

  // Over a row: a softmax needs no logarithm and no phase of its own; exp(y − max y) is a power of two.
  rule(exp(mul(Math.LN2, exponent(entry, b))), exp2(exponent(entry, b))),
  rule(exp(sub(mul(Math.LN2, entry), log(value))), mul(exp2(entry), div(1, value)), (bound) => {
    const [distance, total] = [bound(entry), bound(value)];
    return total.op === "fold" && total.attribute.kind === "sum" && total.operands[0] === exp2(distance);
  }),
  rule(exp(sub(entry, value)), exp2(exponent(entry, value)), (bound) => {
    const m = bound(value);
    return isMaximum(m) && m.operands[0] === bound(entry);
  }),

  // An adjoint's product.
  rule(mulAdjoint(0, b), ZERO),
  rule(mulAdjoint(a, 0), ZERO),
  rule(mulAdjoint(k, b), mul(k, b)),
  rule(mulAdjoint(a, k), mul(a, k), (bound) => Number.isFinite(constantValue(bound(k)))),
  rule(mulAdjoint(a, neg(b)), mulAdjoint(neg(a), b)),
  // A branch that got nothing passes nothing on.
  rule(mulAdjoint(where(c, 0, b), d), where(c, 0, mulAdjoint(b, d))),
  rule(mulAdjoint(where(c, a, 0), d), where(c, mulAdjoint(a, d), 0)),

  // A product of entries of a row. It is no `mulAdjoint`: an entry that is exactly 0 stays 0 also beside a factor that is infinite or NaN.
  rule(mulNoNan(0, b), ZERO),
  rule(mulNoNan(a, 0), ZERO),
  rule(mulNoNan(1, b), b),
  rule(mulNoNan(a, 1), a),
  rule(mulNoNan(-1, b), neg(b)),
  rule(mulNoNan(a, -1), neg(a)),
  rule(mulNoNan(neg(a), b), neg(mulNoNan(a, b))),
  rule(mulNoNan(a, neg(b)), neg(mulNoNan(a, b))),
  // One order for both, so that equal products are the same node; the factor that does not depend on the entry comes first.
  rule(mulNoNan(a, b), mulNoNan(b, a), (bound) => {
    const [left, right] = [bound(a), bound(b)];
    return isPerEntry(left.space) === isPerEntry(right.space) ? byStructure(left, right) > 0 : isPerEntry(left.space);
  }),
  rule(mulNoNan(where(c, a, 0), b), where(c, mulNoNan(a, b), 0)),
  rule(mulNoNan(b, where(c, a, 0)), where(c, mulNoNan(a, b), 0)),

  rule(where(true, a, b), a),
  rule(where(false, a, b), b),
  rule(where(c, a, a), a),
  // An entry that is not there needs no mask where the value is 0 without one.
  rule(where(ne(entry, Number.NEGATIVE_INFINITY), a, 0), a, (bound) => vanishesWith(bound(a)).has(bound(entry))),
  rule(where(not(c), a, b), where(c, b, a)),
  rule(where(c, where(c, a, d), b), where(c, a, b)),
  rule(where(c, a, 0), a, (bound) => hasMask(bound(a), bound(c))),
  rule(where(c, a, where(c, b, d)), where(c, a, d)),
  rule(where(ne(a, b), a, b), a),

  ...distributeSums,
]);
