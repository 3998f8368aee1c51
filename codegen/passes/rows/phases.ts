/** The record of a sweep before any pass: one phase for each depth of folds over the row. */
import type { Input, RowFold } from "../../../dsl/ops/index.js";
import type { SplitGradient } from "../../program.js";
import { plainSummand, plainTotal, type RowKernel } from "./record.js";

export interface RowWork {
  readonly name: string;
  readonly leaf: Input;
  readonly folds: readonly RowFold[];
  /** The phase of a fold, from 1. */
  readonly phaseOf: (x: RowFold) => number;
  readonly gradient: SplitGradient | null;
}

export function rowKernelOf({ name, leaf, folds, phaseOf, gradient }: RowWork): RowKernel {
  const numbers = [...new Set(folds.map(phaseOf))].sort((a, b) => a - b);
  return {
    name,
    leaf,
    phases: numbers.map((number) => ({
      folds: folds.filter((x) => phaseOf(x) === number).map((fold) => ({ fold, value: plainSummand(fold.operands[0]) })),
      merge: null,
    })),
    gradient: gradient && {
      offTarget: plainTotal(gradient.offTarget),
      target: gradient.target,
      zeroWhere: gradient.factors,
    },
    cachedExp: null,
  };
}
