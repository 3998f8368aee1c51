/**
 * Sums over the row, taken apart: Σ (aX + b) is aΣX + bΣ1. Factors that a fold does not run over leave it, so that what is folded depends on as few
 * other folds as can be, and its phase is as early as can be.
 */
import { constantValue, type Expression } from "../dsl/expression.js";
import { absorb, chain, div, mul, neg, ONE, where } from "../dsl/ops/index.js";
import { entryAtTarget } from "./lower.js";

/** A product of a factor that the fold does not run over and one that it does. */
interface Term {
  readonly factor: Expression;
  readonly row: Expression;
  /** The factor is an adjoint: 0 makes the product 0 whatever the sum is. */
  readonly adjoint: boolean;
}

/** More terms than this are left in one loop. */
const MANY = 6;

/** The terms of a vocabulary expression, one where it does not come apart. */
function termsOf(x: Expression): readonly Term[] {
  const whole: readonly Term[] = [{ factor: ONE, row: x, adjoint: false }];
  if (x.space !== "vocab") return [{ factor: x, row: ONE, adjoint: false }];
  const [a, b, c] = x.operands as [Expression, Expression, Expression];
  switch (x.op) {
    case "add":
      return few([...termsOf(a), ...termsOf(b)], whole);
    case "sub":
      // z − max is small where z is large: taken apart it would lose what it is for.
      if (b.op === "fold" && b.attribute.kind === "max") return whole;
      return few([...termsOf(a), ...termsOf(b).map(negated)], whole);
    case "neg":
      return termsOf(a).map(negated);
    case "div":
      return b.space === "vocab" ? whole : termsOf(a).map((term) => scaled(term, div(1, b), false));
    case "chain":
    case "mul":
    case "absorb":
      if (a.space !== "vocab") return termsOf(b).map((term) => scaled(term, a, x.op !== "mul"));
      if (b.space !== "vocab") return termsOf(a).map((term) => scaled(term, b, x.op === "absorb"));
      return few(
        termsOf(a).flatMap((p) => termsOf(b).map((q) => ({ ...scaled(p, q.factor, q.adjoint), row: product(p.row, q.row) }))),
        whole,
      );
    case "where":
      if (constantValue(c) === 0) return termsOf(b).map((term) => ({ ...term, row: where(a, term.row, 0) }));
      return whole;
    default:
      return whole;
  }
}

function few(terms: readonly Term[], whole: readonly Term[]): readonly Term[] {
  return terms.length <= MANY ? terms : whole;
}

const negated = (term: Term): Term => ({ ...term, factor: neg(term.factor) });

function scaled(term: Term, by: Expression, adjoint: boolean): Term {
  const factor =
    term.factor === ONE ? by : by === ONE ? term.factor : adjoint || term.adjoint ? chain(by, term.factor) : mul(by, term.factor);
  return { ...term, factor, adjoint: adjoint || term.adjoint };
}

function product(p: Expression, q: Expression): Expression {
  if (p === ONE) return q;
  return q === ONE ? p : absorb(p, q);
}

/** The sum over the row as a sum of factors times simpler sums; null where nothing comes apart. `sum` makes the fold of a term. */
export function takenApart(x: Expression, sum: (row: Expression) => Expression): Expression[] | null {
  const terms = termsOf(x);
  if (terms.length === 1 && terms[0]?.factor === ONE) return null;
  return terms.map(({ factor, row, adjoint }) => (adjoint ? chain(factor, sum(row)) : mul(factor, sum(row))));
}

/** The sum over the row of an expression with `isTarget` as a factor is one entry; null where there is no such factor. */
export function targetEntry(x: Expression): Expression | null {
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
}
