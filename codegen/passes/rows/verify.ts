/** The verifier of row kernels. An error that it throws is a fault of lossc's own, named by pass and node. */
import type { Expression } from "../../../dsl/expression.js";
import { topological } from "../../../dsl/graph.js";
import { isRowLeaf } from "../../../dsl/ops/index.js";
import { isPerEntry } from "../../../dsl/spaces.js";
import { isExponential } from "../patterns.js";
import { problemOf } from "../verify.js";
import type { GuardedProduct, RowKernel, Summand, Total } from "./record.js";

export function verifyRows(kernel: RowKernel, pass: string): RowKernel {
  const fault = (x: Expression, problem: string) =>
    new Error(`lossc is at fault: after ${pass} of "${kernel.name}", node ${x.id} (${x.op}, ${x.space}) ${problem}`);
  const { phases, gradient, cachedExp, perToken, rows } = kernel;
  const products: GuardedProduct[] = [];
  const values: Expression[] = [];
  const visitSummand = ({ conditions, x, product }: Summand) => {
    for (const c of conditions) if (c.dtype !== "bool") throw fault(c, "is a condition, and no truth value");
    values.push(...conditions, x);
    if (product) products.push(product);
  };
  const visitTotal = ({ x, added, inner }: Total) => {
    values.push(x);
    if (added) {
      visitTotal(added.rest);
      products.push(added.product);
    }
    inner.forEach(visitTotal);
  };
  for (const { folds, merge } of phases) {
    if (merge && merge.rules.length !== folds.length) throw new Error(`after ${pass} of "${kernel.name}" a sum has no rule`);
    for (const { fold, value } of [...(merge?.maxima ?? []), ...folds]) {
      if (!isPerEntry(fold.attribute.from)) throw fault(fold, "is no fold over a row");
      visitSummand(value);
    }
  }
  for (const x of perToken)
    if (isPerEntry(x.space)) throw fault(x, "is computed outside of the loops over the row, but has a value per entry");
  if (gradient) {
    visitTotal(gradient.others);
    values.push(gradient.named, ...gradient.zeroWhere);
    for (const x of gradient.zeroWhere)
      if (isPerEntry(x.space)) throw fault(x, "is a factor of the whole row, but has a value per entry");
  }
  for (const { factors, guards } of products) {
    values.push(...factors);
    for (const guard of guards) if (!factors.includes(guard)) throw fault(guard, "guards a product that it is no factor of");
  }
  if (cachedExp && !isExponential(cachedExp)) throw fault(cachedExp, "is no exponential of an entry");
  // Everything else was verified with the program.
  for (const x of topological(values, ({ space }) => !isPerEntry(space))) {
    const problem = problemOf(x);
    if (problem) throw fault(x, problem);
    if (isRowLeaf(x) && !rows.includes(x)) throw fault(x, "is of a row that is not read");
    if (x.op === "isAt") throw fault(x, "asks an entry which one it is");
  }
  return kernel;
}
