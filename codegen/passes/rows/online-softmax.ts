/**
 * Online softmax: sums that need the row's maximum do not wait for it. A part of the row sums exponentials that it takes from its own maximum, and
 * the sums of all parts are scaled to the common one when they are merged (`merge_partials` in the preludes). The pass finds the sums for which that
 * can be done, and the rule of each.
 */
import type { Expression } from "../../../dsl/expression.js";
import { topological } from "../../../dsl/graph.js";
import type { RowFold } from "../../../dsl/ops/index.js";
import { isExponent, scaledRow } from "../patterns.js";
import { flattened, formOf } from "../products.js";
import type { FoldedEntries, Merge, Phase, RowKernel } from "./record.js";

/** Joins two phases that follow one another where the sums of the second can be taken from the maxima of each part of the row. */
export function onlineSoftmax(kernel: RowKernel): RowKernel {
  const phases: Phase[] = [];
  for (const phase of kernel.phases) {
    const before = phases.at(-1);
    const merge = before && !before.merge ? mergeOf(before, phase) : null;
    if (merge) phases.pop();
    phases.push(merge ? { ...phase, merge } : phase);
  }
  return { ...kernel, phases };
}

/** How the sums of the second phase are merged; null where one of the folds follows no rule. */
function mergeOf(first: Phase, second: Phase): Merge | null {
  const maxima = first.folds.map(({ fold }) => fold);
  if (
    first.folds.some(({ fold }) => fold.attribute.kind !== "max") ||
    second.folds.some(({ fold }) => fold.attribute.kind !== "sum")
  )
    return null;
  const tied = new Set<Expression>(maxima);
  const operands = second.folds.map(({ value }) => value.x);
  for (const x of topological(operands)) if (x.operands.some((y) => tied.has(y))) tied.add(x);
  const terms = operands.map((x) => termOf(x, maxima, (y) => !tied.has(y)));
  const rules: string[] = [];
  const indexOf = (maximum: Expression) => maxima.map(({ id }) => id).indexOf(maximum.id);
  for (const term of terms) {
    if (!term) return null;
    const max = indexOf(term.maximum);
    if (!term.linear) {
      rules.push(`Scaled<${max}>`);
      continue;
    }
    const sum = terms.findIndex((other) => other && !other.linear && other.key === term.key);
    if (sum < 0) return null;
    const parts = term.linear.map(({ maximum, unit, minus }) => {
      const part = `${unit}<${indexOf(maximum)}>`;
      return minus ? `Minus<${part}>` : part;
    });
    rules.push(`Shifted<${[max, sum, ...parts].join(", ")}>`);
  }
  const scaled = ({ fold }: FoldedEntries) => scaledRow(fold.operands[0]);
  return { maxima: first.folds.map((folded) => ({ ...folded, scaled: scaled(folded) })), rules };
}

/** x - maximum, as a power of two or as it is. */
interface Distance {
  readonly maximum: Expression;
  readonly unit: "Exponent" | "Distance";
}

/** One of the distances that a sum of them is made of. */
interface Part extends Distance {
  readonly minus: boolean;
}

/** [mask] · e^(x - maximum) · [a sum of distances] · others, which know no maximum. */
interface Term {
  readonly maximum: Expression;
  readonly linear: readonly Part[] | null;
  /** The same for terms that differ in the linear factor alone. */
  readonly key: string;
}

/** More factors than this are no term of a sum that anybody writes. */
const MANY = 16;

/** `free`: knows no maximum. */
function termOf(operand: Expression, maxima: readonly RowFold[], free: (x: Expression) => boolean): Term | null {
  const distance = (x: Expression): Distance | null => {
    if (!isExponent(x) && x.op !== "sub") return null;
    const [a, b, ...scale] = x.operands;
    if (!maxima.some((m) => m === b) || ![a, ...scale].every(free)) return null;
    return { maximum: b, unit: x.op === "sub" ? "Distance" : "Exponent" };
  };
  const partsOf = (x: Expression, minus: boolean): readonly Part[] | null => {
    const own = distance(x);
    if (own) return [{ ...own, minus }];
    const form = formOf(x);
    if (form.kind !== "sum") return null;
    const [left, right] = [partsOf(form.terms[0], minus), partsOf(form.terms[1], form.minus ? !minus : minus)];
    return left && right && [...left, ...right];
  };
  const product = flattened(operand, free, MANY);
  if (!product) return null;
  const { masks, factors } = product;
  const maximumOf = (x: Expression) => {
    const own = x.op === "exp2" ? distance(x.operands[0]) : null;
    return own?.unit === "Exponent" ? own.maximum : null;
  };
  const exponentials = factors.filter(maximumOf);
  const linears = factors.map((x) => partsOf(x, false));
  const others = factors.filter((x, i) => !exponentials.includes(x) && !linears[i]);
  const [linear, ...more] = linears.filter((parts) => parts !== null);
  const [e, ...further] = exponentials;
  const maximum = e && maximumOf(e);
  if (!maximum || further.length > 0 || more.length > 0 || !others.every(free)) return null;
  const key = [...masks, e, ...others].map(({ id }) => id).sort((a, b) => a - b);
  return {
    maximum,
    linear: linear ?? null,
    key: key.join(),
  };
}
