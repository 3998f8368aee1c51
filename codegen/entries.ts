/** The gradient of a row as the kernel writes it: at the target, and at every other entry. */
import { constantValue, type Expression } from "../dsl/expression.js";
import { operandsFirst, rewriter, topological, withOperands } from "../dsl/graph.js";
import { ONE, ZERO } from "../dsl/ops/index.js";
import { isPerEntry } from "../dsl/spaces.js";
import { simplifier } from "./passes/simplify.js";
import type { Program, ProgramRows } from "./program.js";

export interface GradientParts {
  /** At every entry but the target's. */
  readonly offTarget: Expression;
  readonly target: Expression;
  /** Values per token whose being 0 makes both 0; none where the gradient is no sum of products. */
  readonly factors: readonly Expression[];
}

/** Whether it is 0 everywhere. */
export const isNothing = ({ offTarget, target }: GradientParts) => constantValue(offTarget) === 0 && constantValue(target) === 0;

/** An expression of an entry that is there: where one is not, a store writes 0 whatever the gradient is. Folds see both. */
function ofPresent(root: Expression, isPresent: Expression): Expression {
  const done = new Map<Expression, Expression>();
  const change = (x: Expression): Expression => {
    if (!isPerEntry(x.space)) return x;
    const operands = x.operands.map((y) => done.get(y) ?? y);
    return x.op === "where" && x.operands[0] === isPresent ? (operands[1] ?? x) : withOperands(x, operands);
  };
  for (const x of topological([root], ({ space }) => !isPerEntry(space))) done.set(x, change(x));
  return done.get(root) ?? root;
}

const partsOf = (gradient: Expression, { isPresent }: ProgramRows): GradientParts => {
  const of = ofPresent(gradient, isPresent);
  const at = (value: Expression) => simplifier()(rewriter((x) => (x.op === "isAt" ? value : x))(of));
  return { offTarget: at(ZERO), target: at(ONE), factors: factorsOf(of) ?? [] };
};

const known = new WeakMap<Expression, GradientParts>();

/** The parts of the row's gradient; null of a program without one. They are simplified again, and so made of other values than the gradient is. */
export function gradientParts({ rows, rowGradient }: Program): GradientParts | null {
  if (!rows || !rowGradient) return null;
  const parts = known.get(rowGradient) ?? partsOf(rowGradient, rows);
  known.set(rowGradient, parts);
  return parts;
}

/** Values per token that make an expression 0 when all of them are, and, of what is 0 by absorbing others, no less; null where there are none such. */
export const factorsOf = operandsFirst((x): readonly Expression[] | null => {
  if (constantValue(x) !== undefined) return constantValue(x) === 0 ? [] : null;
  if (!isPerEntry(x.space)) return [x];
  switch (x.op) {
    case "add":
    case "sub": {
      const [left, right] = x.operands.map(factorsOf);
      return left && right ? few([...left, ...right]) : null;
    }
    case "neg":
      return factorsOf(x.operands[0]);
    case "mul": {
      const [a, b] = x.operands;
      if (isPerEntry(a.space) === isPerEntry(b.space)) return null;
      return isPerEntry(a.space) ? productsOf(x, factorsOf(a), [b]) : productsOf(x, [a], factorsOf(b));
    }
    case "chain":
    case "absorb": {
      const [a, b] = x.operands;
      // A derivative of 0 does not absorb.
      const [left, right] = [factorsOf(a), x.op === "chain" && isPerEntry(a.space) ? null : factorsOf(b)];
      return left && right ? productsOf(x, left, right) : (left ?? (x.op === "absorb" ? right : null));
    }
    case "where": {
      const [, a, b] = x.operands;
      return constantValue(b) === 0 ? factorsOf(a) : constantValue(a) === 0 ? factorsOf(b) : null;
    }
    default:
      return null;
  }
});

/** Every one of `left` with every one of `right`, as x is of what they are factors of. */
function productsOf(x: Expression, left: readonly Expression[] | null, right: readonly Expression[] | null) {
  return left && right && few(left.flatMap((p) => right.map((q) => withOperands(x, [p, q]))));
}

/** More are not worth to be looked at in every row. */
const MANY = 8;

function few(factors: readonly Expression[]): readonly Expression[] | null {
  const different = [...new Set(factors)];
  return different.length <= MANY ? different : null;
}
