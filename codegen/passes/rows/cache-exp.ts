/**
 * Computes the last sums and the gradient from the exponential of an entry in place of the entry, where they need nothing else of the rows. It is
 * raised once, and a kernel may keep it where the entry lies.
 */
import type { Expression } from "../../../dsl/expression.js";
import { topological } from "../../../dsl/graph.js";
import { isRowLeaf } from "../../../dsl/ops/index.js";
import { isPerEntry } from "../../../dsl/spaces.js";
import { isExponential } from "../patterns.js";
import { isZeroGradient, type RowKernel } from "./record.js";

export function cacheExp(kernel: RowKernel): RowKernel {
  const { gradient, phases, leaf } = kernel;
  // Without a phase that computes it on the way, the gradient is the one use that there is.
  if (!gradient || isZeroGradient(gradient) || phases.length === 0) return kernel;
  const { others, named } = gradient;
  const found = topological([others.x], (x) => !isPerEntry(x.space)).find(isExponential);
  if (!found || rowsRead([found]).some((row) => row !== leaf)) return kernel;
  const last = phases.at(-1)?.folds.map(({ value }) => value.x) ?? [];
  return rowsRead([...last, others.x, named], found).length === 0 ? { ...kernel, cachedExp: found } : kernel;
}

/** The rows that values of an entry are computed from; folds are known by then, and so may be another value of the entry. */
function rowsRead(values: readonly Expression[], known?: Expression): Expression[] {
  return topological(values, (x) => !isPerEntry(x.space) || x === known).filter(isRowLeaf);
}
