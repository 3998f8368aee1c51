/**
 * Says of each product that is summed or stored where it is 0 whatever its factors are. A kernel then computes it without a branch, and adds it where
 * the guards are not 0. Only there: values that are compared have the same bits wherever they are computed.
 */
import type { Expression } from "../../../dsl/expression.js";
import { bottomUp, topological, withOperands } from "../../../dsl/graph.js";
import { isRowLeaf, mul, mulAdjoint, ZERO } from "../../../dsl/ops/index.js";
import { isPerEntry } from "../../../dsl/spaces.js";
import { formOf, guardsOf } from "../products.js";
import {
  areSums,
  type FoldedEntries,
  type GuardedProduct,
  knownNonZero,
  plainTotal,
  type RowGradient,
  type RowKernel,
  type Summand,
  type Total,
} from "./record.js";

export function guardProducts(kernel: RowKernel): RowKernel {
  const { phases, gradient, cachedExp } = kernel;
  return {
    ...kernel,
    phases: phases.map(({ folds, merge }) => ({
      folds: guardedFolds(folds, cachedExp),
      merge: merge && { ...merge, maxima: guardedFolds(merge.maxima, null) },
    })),
    gradient: gradient && guardedGradient(gradient, cachedExp),
  };
}

/** Folds of one loop. Only where all of them are sums, a product is added rather than folded. */
function guardedFolds<F extends FoldedEntries>(folds: readonly F[], cachedExp: Expression | null): readonly F[] {
  const values = folds.map(({ value }) => value.x);
  const relax = relaxing(cachedExp, NONE);
  const loop = areSums(folds) ? new Loop(values, cachedExp) : null;
  return folds.map((folded) => ({ ...folded, value: relaxedSummand(loop?.summand(folded.value.x) ?? folded.value, relax) }));
}

function guardedGradient(gradient: RowGradient, cachedExp: Expression | null): RowGradient {
  const { others, named } = gradient;
  const nonZero = knownNonZero(gradient);
  const relax = relaxing(cachedExp, nonZero);
  const total = new Loop([others.x], cachedExp, nonZero).total(others.x);
  return { ...gradient, others: relaxedTotal(total, relax), named: relax(named) };
}

type Relax = (x: Expression) => Expression;
const NONE: ReadonlySet<Expression> = new Set();

/** Writes products without the guards that they do not need. */
function relaxing(known: Expression | null, nonZero: ReadonlySet<Expression>): Relax {
  const isGiven = (x: Expression) => x === known || !isPerEntry(x.space);
  return bottomUp((x, operands: readonly Expression[]) => {
    if (isGiven(x)) return x;
    const y = withOperands(x, operands);
    if (x.op === "mulAdjoint" && nonZero.has(x.operands[0])) return mul(...pair(y));
    const form = formOf(x);
    if (form.kind !== "product" || form.zeros !== "either") return y;
    const [guard, ...others] = guardsOf(form);
    if (!guard || others.length > 0) return y;
    const [a, b] = pair(y);
    return guard === x.operands[0] ? mulAdjoint(a, b) : mulAdjoint(b, a);
  }, isGiven);
}

const pair = ({ operands: [a = ZERO, b = ZERO] }: Expression): [Expression, Expression] => [a, b];

const relaxedProduct = ({ factors: [a, b], guards }: GuardedProduct, relax: Relax): GuardedProduct => ({
  factors: [relax(a), relax(b)],
  guards: guards.map(relax),
});

const relaxedSummand = ({ kind, conditions, x, product }: Summand, relax: Relax): Summand => ({
  kind,
  conditions: conditions.map(relax),
  x: relax(x),
  product: product && relaxedProduct(product, relax),
});

const relaxedTotal = ({ kind, x, added, inner }: Total, relax: Relax): Total => ({
  kind,
  x: relax(x),
  added: added && { ...added, rest: relaxedTotal(added.rest, relax), product: relaxedProduct(added.product, relax) },
  inner: inner.map((one) => relaxedTotal(one, relax)),
});

/** Values that are computed in one loop over the row. */
class Loop {
  private readonly uses = new Map<Expression, number>();

  constructor(
    roots: readonly Expression[],
    /** A value of the entry that is known already. */
    private readonly known: Expression | null,
    private readonly nonZero: ReadonlySet<Expression> = new Set(),
  ) {
    const use = (x: Expression) => this.uses.set(x, (this.uses.get(x) ?? 0) + 1);
    roots.forEach(use);
    for (const x of topological(roots, (y) => this.isGiven(y))) if (!this.isGiven(x)) x.operands.forEach(use);
  }

  /** Whether x is not computed from its operands here. */
  private isGiven(x: Expression): boolean {
    return x === this.known || !isPerEntry(x.space) || isRowLeaf(x);
  }

  /** Whether x is computed for one use alone. */
  private isOwn(x: Expression): boolean {
    return !this.isGiven(x) && (this.uses.get(x) ?? 1) <= 1;
  }

  summand(root: Expression): Summand {
    const conditions: Expression[] = [];
    let x = root;
    for (let form = formOf(x); this.isOwn(x) && form.kind === "masked"; form = formOf(x)) {
      conditions.push(form.condition);
      x = form.of;
    }
    return { kind: "summand", conditions, x, product: this.isOwn(x) && x.dtype !== "bool" ? this.productOf(x) : null };
  }

  total(x: Expression): Total {
    const plain = plainTotal(x);
    if (!this.isOwn(x)) return plain;
    const form = formOf(x);
    if (form.kind !== "sum") return { ...plain, inner: this.productOf(x) ? this.sumsIn(x) : [] };
    const { terms, minus } = form;
    const [a, b] = terms;
    const added = [b, a].find((y) => (y === b || !minus) && this.isOwn(y) && this.productOf(y));
    const product = added && this.productOf(added);
    if (!product) return plain;
    const rest = this.total(added === b ? a : b);
    return { kind: "total", x, added: { rest, product, minus }, inner: this.sumsIn(added) };
  }

  /** Sums that are factors of a stored product are stored sums themselves. */
  private sumsIn(x: Expression): Total[] {
    return x.operands.flatMap((y) => (formOf(y).kind === "sum" && this.isOwn(y) ? [this.total(y)] : []));
  }

  private productOf(x: Expression): GuardedProduct | null {
    const form = formOf(x);
    if (form.kind !== "product") return null;
    const { factors, zeros } = form;
    return { factors, guards: guardsOf(form).filter((guard) => zeros !== "first" || !this.nonZero.has(guard)) };
  }
}
