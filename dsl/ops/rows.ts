/** Ops that read a whole row. Each is a row of the table below: its value of one row, its derivative, and the folds that it is lowered to. */
import { type Expression, intern } from "../expression.js";
import { bottomUp, withOperands } from "../graph.js";
import { isPerEntry } from "../spaces.js";
import { add, div, exponent, log, logprob, mul, mulAdjoint, mulNoNan, sub } from "./arithmetic.js";
import { fold } from "./folds.js";
import { exp2 } from "./functions.js";
import { isAt, ONE } from "./leaves.js";
import type { Op, RowOp } from "./names.js";

export type RowExpression = Extract<Expression, { readonly op: RowOp }>;

/** An op of a row taken apart. */
interface Parts {
  readonly self: RowExpression;
  /** The row. */
  readonly x: Expression;
  /** The input that names an entry; "" of ops that read them all alike. */
  readonly index: string;
}

export interface RowRow {
  /** See `OpRow.order`. */
  readonly order: number;
  /** Whether the value is a row or one number of it. */
  readonly gives: "row" | "number";
  /** Whether every entry has a part in the value, or only the one that is named. */
  readonly reads: "row" | "entry";
  /** The value of one row in float64; `at` is the entry that is named. */
  readonly evaluate: (row: Float64Array, at: number) => Float64Array | number;
  /** The adjoint of the row, given the adjoint of the result. */
  readonly gradient: (g: Expression, parts: Parts) => Expression;
  /** The expression that takes its place when the gradient is known. */
  readonly lower: (parts: Parts) => Expression;
}

const maximumOf = (row: Float64Array) => row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
const totalOf = (row: Float64Array, m: number) => row.reduce((sum, z) => sum + Math.exp(z - m), 0);

const overRow = (y: Expression) => fold("sum", y, "vocab", "token");
const maximum = (z: Expression) => fold("max", z, "vocab", "token");
/** How far an entry lies below the maximum, in powers of two: it is rounded once, and alike wherever it is used. */
const below = (z: Expression) => exponent(z, maximum(z));
const shifted = (z: Expression) => exp2(below(z));
const total = (z: Expression) => overRow(shifted(z));

export const ROW_OPS: Readonly<Record<RowOp, RowRow>> = {
  logprobAt: {
    order: 52,
    gives: "number",
    reads: "row",
    evaluate(row, at) {
      const m = maximumOf(row);
      return (row[at] as number) - m - Math.log(totalOf(row, m));
    },
    gradient: (g, { x, index }) => mulAdjoint(g, sub(isAt(index), softmax(x))),
    lower: ({ x, index }) => logprob(entryAt(x, index), maximum(x), total(x)),
  },
  rowLogsumexp: {
    order: 42,
    gives: "number",
    reads: "row",
    evaluate(row) {
      const m = maximumOf(row);
      return m + Math.log(totalOf(row, m));
    },
    gradient: (g, { x }) => mulAdjoint(g, softmax(x)),
    lower: ({ x }) => add(maximum(x), log(total(x))),
  },
  at: {
    order: 4,
    gives: "number",
    reads: "entry",
    evaluate: (row, at) => row[at] as number,
    gradient: (g, { index }) => mulAdjoint(g, isAt(index)),
    lower: ({ x, index }) => entryAt(x, index),
  },
  softmax: {
    order: 45,
    gives: "row",
    reads: "row",
    evaluate(row) {
      const m = maximumOf(row);
      const sum = totalOf(row, m);
      return row.map((z) => Math.exp(z - m) / sum);
    },
    gradient: (g, { self }) => mulNoNan(self, sub(g, overRow(mulNoNan(g, self)))),
    lower: ({ x }) => mul(shifted(x), div(1, total(x))),
  },
  logSoftmax: {
    order: 26,
    gives: "row",
    reads: "row",
    evaluate(row) {
      const m = maximumOf(row);
      const sum = totalOf(row, m);
      return row.map((z) => z - m - Math.log(sum));
    },
    gradient: (g, { x }) => sub(g, mulNoNan(softmax(x), overRow(g))),
    lower: ({ x }) => sub(mul(Math.LN2, below(x)), log(total(x))),
  },
};

/** The ops that no entry can be left out of. */
export const WHOLE_ROW_OPS: readonly Op[] = (Object.keys(ROW_OPS) as RowOp[]).filter((op) => ROW_OPS[op].reads === "row");

/** The logprob of the entry that `index` names: (x − max) − log Σ exp(x − max). */
export const logprobAt = (x: Expression, index: string) => intern("logprobAt", [x], "token", "f32", { index });
/** log Σ exp x over the row. */
export const rowLogsumexp = (x: Expression): Expression => intern("rowLogsumexp", [x], "token", "f32");
export const softmax = (x: Expression): Expression => intern("softmax", [x], "vocab", "f32");
/** x − log Σ exp x over the row. */
export const logSoftmax = (x: Expression): Expression => intern("logSoftmax", [x], "vocab", "f32");
/** The entry of the row that `index` names. */
export const at = (x: Expression, index: string): Expression => intern("at", [x], "token", "f32", { index });

/** The named entry of an expression of rows: the same expression of their named entries. */
export function entryAt(root: Expression, index: string): Expression {
  const isNoEntry = ({ space }: Expression) => !isPerEntry(space);
  return bottomUp((x, operands: readonly Expression[]) => {
    if (isNoEntry(x)) return x;
    if (x.op === "isAt") {
      // With two indices it would be a comparison of them.
      if (x.attribute.index !== index) throw new Error(`an entry is named by ${x.attribute.index} and by ${index}`);
      return ONE;
    }
    return x.op === "input" || x.op === "index" ? at(x, index) : withOperands(x, operands);
  }, isNoEntry)(root);
}

export function isRowOp(x: Expression): x is RowExpression {
  return Object.hasOwn(ROW_OPS, x.op);
}

const partsOf = (self: RowExpression): Parts => ({
  self,
  x: self.operands[0],
  index: "index" in self.attribute ? self.attribute.index : "",
});

export const rowGradient = (g: Expression, x: RowExpression): Expression => ROW_OPS[x.op].gradient(g, partsOf(x));
export const lowerRow = (x: RowExpression): Expression => ROW_OPS[x.op].lower(partsOf(x));
