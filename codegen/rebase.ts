/**
 * Folds that need the row's maximum need not wait for it: a part of the row sums exponentials that it takes from its own maximum, and the sums of all parts
 * are brought to the common one when they meet. This file finds the sums for which that can be done, and by which rule (`meet` in the preludes).
 */
import { constantValue, type Expression } from "../dsl/expression.js";
import { topological } from "../dsl/graph.js";
import type { RowFold } from "../dsl/ops/index.js";

export interface Rebased {
  /** Folds for the maximum, of one phase. */
  readonly maxima: readonly RowFold[];
  /** Sums of the next phase. */
  readonly sums: readonly RowFold[];
  /** For each sum its rule, as the preludes write it. */
  readonly rules: readonly string[];
}

/** The folds of two phases that follow one another as one exchange; null where one of them follows no rule. */
export function rebased(first: readonly RowFold[], second: readonly RowFold[]): Rebased | null {
  const maxima = first.filter(({ attribute }) => attribute.kind === "max");
  if (maxima.length < first.length || second.some(({ attribute }) => attribute.kind !== "sum")) return null;
  const tied = new Set<Expression>(maxima);
  for (const x of topological(second.flatMap(({ operands }) => operands))) if (x.operands.some((y) => tied.has(y))) tied.add(x);
  const terms = second.map((x) => termOf(x.operands[0], maxima, (y) => !tied.has(y)));
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
  return { maxima, sums: second, rules };
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
    if (x.op !== "exponent" && x.op !== "sub") return null;
    const [a, b] = x.operands;
    if (!maxima.some((m) => m === b) || !free(a)) return null;
    return { maximum: b, unit: x.op === "exponent" ? "Exponent" : "Distance" };
  };
  const partsOf = (x: Expression, minus: boolean): readonly Part[] | null => {
    const own = distance(x);
    if (own) return [{ ...own, minus }];
    if (x.op !== "add" && x.op !== "sub") return null;
    const [a, b] = x.operands;
    const [left, right] = [partsOf(a, minus), partsOf(b, x.op === "sub" ? !minus : minus)];
    return left && right && [...left, ...right];
  };
  const masks: Expression[] = [];
  const factors: Expression[] = [];
  const visit = (x: Expression) => {
    if (factors.length > MANY) return;
    if (x.op === "where" && constantValue(x.operands[2]) === 0 && free(x.operands[0])) {
      masks.push(x.operands[0]);
      visit(x.operands[1]);
    } else if (x.op === "absorb" || x.op === "mul") x.operands.forEach(visit);
    else factors.push(x);
  };
  visit(operand);
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
  if (factors.length > MANY || !maximum || further.length > 0 || more.length > 0 || !others.every(free)) return null;
  const key = [...masks, e, ...others].map(({ id }) => id).sort((a, b) => a - b);
  return {
    maximum,
    linear: linear ?? null,
    key: key.join(),
  };
}
