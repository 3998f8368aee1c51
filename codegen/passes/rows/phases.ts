/** The record of a sweep before any pass: one phase for each depth of folds over the row. */

import { constantValue, type Expression } from "../../../dsl/expression.js";
import { topological } from "../../../dsl/graph.js";
import { isCoarseFold, isRowFold, isRowLeaf, type RowValue } from "../../../dsl/ops/index.js";
import { isPerEntry } from "../../../dsl/spaces.js";
import type { ProgramRows, SplitGradient } from "../../program.js";
import { zeroWhere } from "../zero-at-masked.js";
import { type FoldedEntries, plainSummand, plainTotal, type RowKernel } from "./record.js";

export interface RowWork {
  readonly name: string;
  readonly rows: ProgramRows;
  readonly roots: readonly Expression[];
  /** Row values that the sweep computes. */
  readonly values: readonly RowValue[];
  /** The phase of a row value: that of the folds that it needs, and of a fold one more. */
  readonly phaseOf: (x: RowValue) => number;
  readonly gradient: SplitGradient | null;
}

export function rowKernelOf({ name, rows, roots, values, phaseOf, gradient }: RowWork): RowKernel {
  const folds = values.filter(isRowFold);
  const isZero = zeroWhere(rows.mask);
  const folded = (fold: (typeof folds)[number]): FoldedEntries => ({
    fold,
    value: plainSummand(fold.operands[0]),
    // A row that is not read has the adjoints of a masked token, which are 0; 1 stands for a sum of exponentials, whose logarithm is then 0.
    unread: fold.attribute.kind === "sum" && !isZero(fold) ? 1 : 0,
  });
  const numbers = [...new Set(folds.map(phaseOf))].sort((a, b) => a - b);
  const ofEntries = [...values.map(({ operands: [x] }) => x), ...(gradient ? [gradient.others, gradient.named] : [])];
  return {
    name,
    leaf: rows.leaf,
    rows: [...new Set([rows.leaf, ...topological(roots, isCoarseFold).filter(isRowLeaf)])],
    roots,
    entries: values.filter((x) => x.op === "at"),
    perToken: ofEntries.flatMap(tokenPartsOf),
    depth: values.length > 0 ? Math.max(...values.map(phaseOf), 1) : 0,
    phases: numbers.map((number) => ({ folds: folds.filter((x) => phaseOf(x) === number).map(folded), merge: null })),
    gradient: gradient && {
      others: plainTotal(gradient.others),
      named: gradient.named,
      zeroWhere: gradient.factors,
    },
    cachedExp: null,
  };
}

/** The largest parts of an expression of entries that do not depend on the entry. */
function tokenPartsOf(root: Expression): Expression[] {
  const found = new Set<Expression>();
  for (const x of topological([root], isCoarseFold)) {
    for (const y of isPerEntry(x.space) && x.op !== "fold" ? x.operands : []) if (!isPerEntry(y.space)) found.add(y);
  }
  return [...found].filter((x) => constantValue(x) === undefined);
}
