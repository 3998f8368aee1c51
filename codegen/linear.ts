/**
 * Sums over the row, taken apart: Σ (aX + b) is aΣX + bΣ1. Factors that a fold does not run over leave it, so that what is folded depends on as few
 * other folds as can be, and its phase is as early as can be.
 */
import { constantValue, type Expression } from "../dsl/expression.js";
import { operandsFirst } from "../dsl/graph.js";
import { absorb, add, div, neg, ONE, sub, where } from "../dsl/ops/index.js";
import { entryAtTarget } from "./lower.js";
import { isMaximum } from "./ranks.js";

/** A product of a factor that the fold does not run over and one that it does. */
interface Term {
  readonly factor: Expression;
  readonly row: Expression;
}

/** More terms than this are left in one loop. */
const MANY = 6;

/** The terms of a vocabulary expression, one where it does not come apart. */
const termsOf = operandsFirst((x): readonly Term[] => {
  const whole: readonly Term[] = [{ factor: ONE, row: x }];
  if (x.space !== "vocab") return [{ factor: x, row: ONE }];
  const [a, b, c] = x.operands as [Expression, Expression, Expression];
  switch (x.op) {
    case "add":
      return few(together([...termsOf(a), ...termsOf(b)]), whole);
    case "sub":
      // z − max is small where z is large: taken apart it would lose what it is for.
      if (isMaximum(b)) return whole;
      return few(together([...termsOf(a), ...termsOf(b).map(negated)]), whole);
    case "neg":
      return termsOf(a).map(negated);
    case "div":
      return b.space === "vocab" ? whole : termsOf(a).map((term) => scaled(term, div(1, b)));
    case "chain":
    case "mul":
    case "absorb":
      if (a.space !== "vocab") return termsOf(b).map((term) => scaled(term, a));
      if (b.space !== "vocab") return termsOf(a).map((term) => scaled(term, b));
      return few(
        termsOf(a).flatMap((p) => termsOf(b).map((q) => ({ ...scaled(p, q.factor), row: product(p.row, q.row) }))),
        whole,
      );
    case "where":
      if (constantValue(c) !== 0) return whole;
      // A condition that does not depend on the entry is one of the factor: a token that does not count hears nothing of its row.
      if (a.space !== "vocab") return termsOf(b).map(({ factor, row }) => ({ factor: where(a, factor, 0), row }));
      return termsOf(b).map(({ factor, row }) => ({ factor, row: where(a, row, 0) }));
    default:
      return whole;
  }
});

function few(terms: readonly Term[], whole: readonly Term[]): readonly Term[] {
  return terms.length <= MANY ? terms : whole;
}

/** How many folds deep it is: what is folded of it can be told no earlier. */
const depth = operandsFirst((x): number => Math.max(0, ...x.operands.map(depth)) + Number(x.op === "fold"));

/** Terms whose factors are the same but for the sign as one: every sum over the row costs. What is no such sum, or is one anyway as Σ1 is, stays apart. */
function together(terms: readonly Term[]): Term[] {
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

const stands = (row: Expression) => row === ONE || targetEntry(row) !== null;
const joins = (a: Expression, b: Expression) => a !== b && !stands(a) && !stands(b) && depth(a) === depth(b);

const negated = (term: Term): Term => ({ ...term, factor: neg(term.factor) });

function scaled({ factor, row }: Term, by: Expression): Term {
  return { factor: factor === ONE ? by : by === ONE ? factor : absorb(by, factor), row };
}

function product(p: Expression, q: Expression): Expression {
  if (p === ONE) return q;
  return q === ONE ? p : absorb(p, q);
}

/** The sum over the row as a sum of factors times simpler sums; null where nothing comes apart. `sum` makes the fold of a term. */
export function takenApart(x: Expression, sum: (row: Expression) => Expression): Expression[] | null {
  const terms = termsOf(x);
  // Without a factor that leaves there is nothing to gain, and every sum costs; but for one that is no sum.
  if (terms.every(({ factor, row }) => factor === ONE && targetEntry(row) === null)) return null;
  // A factor of 0, or a sum over no entry, makes the product 0 whatever the other is, as in the row.
  return terms.map(({ factor, row }) => absorb(factor, sum(row)));
}

/** The sum over the row of an expression with `isTarget` as a factor is one entry; null where there is no such factor. */
export const targetEntry = operandsFirst((x): Expression | null => {
  const [a, b, c] = x.operands as [Expression, Expression, Expression];
  switch (x.op) {
    case "isTarget":
      return ONE;
    case "neg": {
      const entry = targetEntry(a);
      return entry && neg(entry);
    }
    case "mul":
    case "chain":
    case "absorb": {
      const left = targetEntry(a);
      if (left) return absorb(left, entryAtTarget(b));
      const right = targetEntry(b);
      return right && absorb(entryAtTarget(a), right);
    }
    case "where": {
      const entry = constantValue(c) === 0 ? targetEntry(b) : null;
      return entry && where(entryAtTarget(a), entry, 0);
    }
    default:
      return null;
  }
});
