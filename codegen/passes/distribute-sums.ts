/**
 * Sums, taken apart: Σ (aX + b) is aΣX + bΣ1. Factors that a fold does not run over leave it, so that a fold depends on as few other folds as can be,
 * and its phase is as early as can be. A sum over a row with `isAt` as a factor is one entry.
 */
import { constantValue, type Expression } from "../../dsl/expression.js";
import { operandsFirst, rewriter } from "../../dsl/graph.js";
import {
  add,
  entryAt,
  type Fold,
  fold,
  isCoarseFold,
  isRowFold,
  mul,
  mulAdjoint,
  mulNoNan,
  neg,
  ONE,
  sub,
  where,
  ZERO,
} from "../../dsl/ops/index.js";
import { isFiner, isPerEntry } from "../../dsl/spaces.js";
import { formOf, type Sum } from "./products.js";
import { type Rewriting, ruleFor } from "./rules.js";

/** A product of a factor that the fold does not run over and one that it does. */
interface Term {
  readonly factor: Expression;
  readonly row: Expression;
}

/** More terms than this are left in one loop. */
const MANY = 6;

/** The terms of an expression of entries, one where it does not come apart. */
const termsOf = operandsFirst((x): readonly Term[] => {
  const whole: readonly Term[] = [{ factor: ONE, row: x }];
  const form = formOf(x);
  switch (form.kind) {
    case "number":
      return [{ factor: x, row: ONE }];
    case "sum": {
      if (isShifted(form)) return whole;
      const [a, b] = form.terms.map(termsOf);
      return few(joined([...(a ?? []), ...(form.minus ? (b ?? []).map(negated) : (b ?? []))]), whole);
    }
    case "negative":
      return termsOf(form.of).map(negated);
    case "product": {
      const { scaled: split, factors } = form;
      if (split) {
        // cX − cY is NaN where X − Y is 0 and c is infinite: the number leaves the sum, whose terms come apart by themselves.
        const terms = termsOf(split.entry);
        return terms.length > 1 ? [{ factor: split.number, row: split.entry }] : terms.map((term) => scaled(term, split.number));
      }
      const [left, right] = [termsOf(factors[0]), termsOf(factors[1])];
      // Σ(z − μ)² is small where the sums of z², z and 1 are large: a sum times a sum stays as it is.
      if (left.length > 1 && right.length > 1) return whole;
      return few(
        left.flatMap((p) => right.map((q) => ({ ...scaled(p, q.factor), row: productOfRows(p.row, q.row) }))),
        whole,
      );
    }
    case "masked": {
      const { condition, of } = form;
      // A condition that does not depend on the entry is one of the factor: a token that does not count hears nothing of its row.
      return isPerEntry(condition.space)
        ? termsOf(of).map(({ factor, row }) => ({ factor, row: where(condition, row, 0) }))
        : termsOf(of).map(({ factor, row }) => ({ factor: where(condition, factor, 0), row }));
    }
    case "entry":
      return whole;
  }
});

/**
 * Whether it is an entry and a number that are known before the row is folded. Σ p(x − c) is small where Σ px and c Σ p are large. But Σ p(log p + 1)
 * comes apart, for as a whole it would wait for the sum within log p.
 */
const isShifted = ({ terms }: Sum): boolean => terms.some((x) => !isPerEntry(x.space)) && !terms.some((x) => needsFold(x));

/** Whether a fold over the row must be known before; values of earlier sweeps are. */
const needsFold = operandsFirst((x): boolean => !isCoarseFold(x) && (isRowFold(x) || x.operands.some(needsFold)));

function few(terms: readonly Term[], whole: readonly Term[]): readonly Term[] {
  return terms.length <= MANY ? terms : whole;
}

/** How many folds deep it is: a fold of it can be known no earlier. */
const depth = operandsFirst((x): number => Math.max(0, ...x.operands.map(depth)) + Number(x.op === "fold"));

/** Merges a Σx + a Σy to a Σ(x + y), for every sum over the row costs. Σ1 and single entries cost no loop, and stay by themselves. */
function joined(terms: readonly Term[]): Term[] {
  const result: Term[] = [];
  for (const term of terms) {
    const { factor, row } = term;
    const minus = neg(factor);
    const i = result.findIndex((other) => joins(other.row, row) && (other.factor === factor || other.factor === minus));
    const before = result[i];
    if (before) result[i] = { ...before, row: (before.factor === factor ? add : sub)(before.row, row) };
    else result.push(term);
  }
  return result;
}

const needsNoLoop = (row: Expression) => row === ONE || singleEntry(row) !== null;
const joins = (a: Expression, b: Expression) => a !== b && !needsNoLoop(a) && !needsNoLoop(b) && depth(a) === depth(b);

const negated = (term: Term): Term => ({ ...term, factor: neg(term.factor) });

function scaled({ factor, row }: Term, by: Expression): Term {
  return { factor: factor === ONE ? by : by === ONE ? factor : mulNoNan(by, factor), row };
}

function productOfRows(p: Expression, q: Expression): Expression {
  if (p === ONE) return q;
  return q === ONE ? p : mulNoNan(p, q);
}

/** The sum over the row as a sum of factors times simpler sums; null where nothing comes apart. `sum` makes the fold of a term. */
function distributed(x: Expression, sum: (row: Expression) => Expression): Expression | null {
  const terms = termsOf(x);
  // Without a factor that leaves there is nothing to gain, and every sum costs; but for one that is no sum.
  if (terms.every(({ factor, row }) => factor === ONE && singleEntry(row) === null)) return null;
  // A factor of 0, or a sum over no entry, makes the product 0 whatever the other is, as in the row.
  return terms.map(({ factor, row }) => mulNoNan(factor, sum(row))).reduce((total, part) => add(total, part));
}

/** An expression of which one entry alone is not 0: the input that names the entry, and its value there. */
interface SingleEntry {
  readonly index: string;
  readonly value: Expression;
}

/** The one entry of an expression with `isAt` as a factor; null where there is no such factor. */
const singleEntry = operandsFirst((x): SingleEntry | null => {
  const mapped = (single: SingleEntry | null, change: (value: Expression, index: string) => Expression) =>
    single && { ...single, value: change(single.value, single.index) };
  if (x.op === "isAt") return { index: x.attribute.index, value: ONE };
  const form = formOf(x);
  switch (form.kind) {
    case "negative":
      return mapped(singleEntry(form.of), (value) => neg(value));
    case "product": {
      const [a, b] = form.factors;
      return (
        mapped(singleEntry(a), (value, index) => mulNoNan(value, entryAt(b, index))) ??
        mapped(singleEntry(b), (value, index) => mulNoNan(entryAt(a, index), value))
      );
    }
    case "masked":
      return mapped(singleEntry(form.of), (value, index) => where(entryAt(form.condition, index), value, 0));
    default:
      return null;
  }
});

/** The input that names an entry somewhere in the expression. */
const indexIn = operandsFirst((x): string | null =>
  x.op === "isAt" ? x.attribute.index : x.operands.reduce<string | null>((found, y) => found ?? indexIn(y), null),
);

function overRow(x: Fold, { settle, deep }: Rewriting): Expression | null {
  const [a] = x.operands;
  const { kind, from } = x.attribute;
  const sum = (row: Expression) => fold(kind, row, from, x.space);
  const single = singleEntry(a);
  if (single) return deep(single.value);
  const parts = distributed(a, sum);
  if (parts) return deep(parts);
  const index = indexIn(a);
  if (index === null) return null;
  // The named entry's share beside the others is added by itself: within the row no entry knows whether it is the one.
  const others = rewriter((y) => (y.op === "isAt" ? ZERO : y))(a);
  return deep(add(settle(sum(others)), sub(entryAt(a, index), entryAt(others, index))));
}

/** Factors that the fold does not run over leave a sum; so does a sign. */
export const distributeSums = [
  ruleFor("fold", (x, rewriting) => {
    const [a] = x.operands;
    const { kind, from, picks } = x.attribute;
    if (kind !== "sum") return null;
    if (constantValue(a) === 0) return ZERO;
    if (isPerEntry(from)) return overRow(x, rewriting);
    // The place that it picks says how many sequences a group must have.
    if (picks !== undefined) return null;
    const { settle } = rewriting;
    const inner = (y: Expression) => settle(fold(kind, y, from, x.space));
    if (a.op === "neg") return settle(neg(inner(a.operands[0])));
    if (a.op !== "mul" && a.op !== "mulAdjoint") return null;
    const [p, q] = a.operands;
    const outer = (y: Expression) => !isFiner(y.space, x.space);
    if (outer(p) && !outer(q)) return settle((a.op === "mul" ? mul : mulAdjoint)(p, inner(q)));
    if (outer(q) && !outer(p) && a.op === "mul") return settle(mul(inner(p), q));
    return null;
  }),
];
