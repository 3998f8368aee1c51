/** Arithmetic, comparisons and choices. */
import { constantValue } from "../expression.js";
import type { BinaryOp, ComparisonOp, TernaryOp } from "./names.js";
import { type Builders, call, defineOps, infix, type OpRow, type OpRows, text } from "./table.js";

type ArithmeticOp = BinaryOp | TernaryOp | "neg" | "not" | "log";

const numbers = { takes: ["number", "number"], gives: "number", lower: null, rowText: null, packet: "any" } as const;
const masks = { takes: ["bool", "bool"], gives: "bool", gradient: null, lower: null, rowText: null, packet: "any" } as const;

const comparison = (
  order: number,
  sign: string,
  notation: string,
  evaluate: (a: number, b: number) => boolean,
): OpRow<ComparisonOp> => ({
  ...numbers,
  order,
  gives: "bool",
  evaluate: (a, b) => Number(evaluate(a, b)),
  gradient: null,
  text: infix(sign),
  notation,
});

/** NaN if either is; two equal operands share the adjoint. */
const extremum = (order: number, name: "min" | "max"): OpRow<"min" | "max"> => ({
  ...numbers,
  order,
  evaluate: name === "min" ? Math.min : Math.max,
  gradient(g, _self, a, b) {
    const loses = name === "min" ? gt : lt;
    const shared = where(eq(a, b), mul(g, 0.5), g);
    return [where(loses(a, b), 0, shared), where(loses(b, a), 0, shared)];
  },
  text: call(`${name}_`),
  packet: "packets",
  notation: name,
});

const whole = (x: number | undefined): x is number => x !== undefined && Number.isInteger(x);

/** `1 ** NaN` and `(-1) ** Infinity` are 1, as C and torch have it. */
function power(x: number, y: number): number {
  if (x === 1 || (x === -1 && !Number.isFinite(y) && !Number.isNaN(y))) return 1;
  return x ** y;
}

const rows: OpRows<ArithmeticOp> = {
  /** The product with an adjoint: an adjoint that is exactly 0 gives 0, also where the derivative is infinite or NaN. */
  mulAdjoint: {
    ...numbers,
    order: 5,
    evaluate: (g, d) => (g === 0 ? g * 0 : g * d),
    gradient: (h, _self, g, d) => [mulAdjoint(h, d), mulAdjoint(h, g)],
    text: call("mul_adjoint_"),
    notation: null,
  },

  /** (z − m) − log s, rounded once: the logprob of an entry z of a row with maximum m and s = Σ exp(z − m). */
  logprob: {
    takes: ["number", "number", "number"],
    gives: "number",
    order: 28,
    evaluate: (z, m, s) => z - m - Math.log(s),
    gradient: (g, _self, _z, _m, s) => [g, neg(g), neg(mulAdjoint(g, div(1, s)))],
    lower: null,
    text: call("logprob_"),
    rowText: null,
    packet: "any",
    notation: null,
  },

  /** The power of two that e^(x − m) is: (x − m) · log₂ e. */
  exponent: {
    ...numbers,
    order: 13,
    evaluate: (x, m) => (x - m) * Math.LOG2E,
    gradient: (g) => [mul(g, Math.LOG2E), mul(g, -Math.LOG2E)],
    text: call("exponent_"),
    packet: "packets",
    notation: null,
  },

  /** The power of two that e^(c·x − m) is: (c·x − m) · log₂ e, rounded once. */
  scaledExponent: {
    takes: ["number", "number", "number"],
    gives: "number",
    order: 56,
    evaluate: (x, m, c) => (c * x - m) * Math.LOG2E,
    gradient: (g, _self, x, _m, c) => [mul(mul(g, c), Math.LOG2E), mul(g, -Math.LOG2E), mul(mul(g, x), Math.LOG2E)],
    lower: null,
    text: call("exponent_"),
    rowText: null,
    packet: "packets",
    notation: null,
  },

  /** The product in vocab space: a factor that is exactly 0 makes it 0, value and gradient, so that 0 · log 0 is 0. */
  mulNoNan: {
    ...numbers,
    order: 0,
    evaluate: (a, b) => (a === 0 || b === 0 ? 0 : a * b),
    gradient: (g, _self, a, b) => [mulNoNan(g, b), mulNoNan(g, a)],
    text: call("mul_no_nan_"),
    notation: null,
  },

  add: { ...numbers, order: 2, evaluate: (a, b) => a + b, gradient: (g) => [g, g], text: infix("+"), notation: null },
  sub: { ...numbers, order: 50, evaluate: (a, b) => a - b, gradient: (g) => [g, neg(g)], text: infix("-"), notation: null },
  mul: {
    ...numbers,
    order: 33,
    evaluate: (a, b) => a * b,
    gradient: (g, _self, a, b) => [mulAdjoint(g, b), mulAdjoint(g, a)],
    text: infix("*"),
    notation: null,
  },
  div: {
    ...numbers,
    order: 9,
    evaluate: (a, b) => a / b,
    gradient: (g, self, _a, b) => [mulAdjoint(g, div(1, b)), mulAdjoint(g, neg(div(self, b)))],
    text: infix("/"),
    notation: null,
  },
  neg: {
    ...numbers,
    takes: ["number"],
    order: 34,
    evaluate: (x) => -x,
    gradient: (g) => [neg(g)],
    text: text((x = "") => (x.startsWith("-") ? `-(${x})` : `-${x}`)),
    notation: null,
  },

  /** A constant whole exponent n has the derivative n·xⁿ⁻¹ for every x. */
  pow: {
    ...numbers,
    order: 40,
    evaluate: power,
    gradient(g, self, x, y) {
      const n = constantValue(y);
      if (n === 0) return [null, null];
      const toBase = mulAdjoint(g, mul(y, whole(n) && n === 1 ? 1 : pow(x, sub(y, 1))));
      if (n !== undefined) return [toBase, null];
      return [where(eq(y, 0), 0, toBase), where(and(eq(x, 0), ge(y, 0)), 0, mulAdjoint(g, mul(self, log(x))))];
    },
    text: call("pow_"),
    packet: "packets",
    notation: null,
  },
  log: {
    ...numbers,
    takes: ["number"],
    order: 29,
    evaluate: Math.log,
    gradient: (g, _self, x) => [mulAdjoint(g, div(1, x))],
    text: call("log_"),
    packet: "packets",
    notation: "log",
  },

  eq: comparison(10, "==", "=", (a, b) => a === b),
  ne: comparison(35, "!=", "≠", (a, b) => a !== b),
  lt: comparison(30, "<", "<", (a, b) => a < b),
  le: comparison(22, "<=", "≤", (a, b) => a <= b),
  gt: comparison(18, ">", ">", (a, b) => a > b),
  ge: comparison(17, ">=", "≥", (a, b) => a >= b),

  and: { ...masks, order: 3, evaluate: (a, b) => a && b, text: infix("&"), notation: "and" },
  or: { ...masks, order: 37, evaluate: (a, b) => a || b, text: infix("|"), notation: "or" },
  not: { ...masks, takes: ["bool"], order: 36, evaluate: (a) => Number(!a), text: text((a) => `!${a}`), notation: "not" },

  /** Sends nothing to the branch not taken. */
  where: {
    takes: ["bool", "any", "any"],
    gives: "same",
    order: 53,
    evaluate: (c, a, b) => (c ? a : b),
    gradient: (g, _self, c) => [null, where(c, g, 0), where(c, 0, g)],
    lower: null,
    text: call("select"),
    rowText: null,
    packet: "packets",
    notation: null,
  },

  min: extremum(32, "min"),
  max: extremum(31, "max"),

  /** Passes the adjoint at both bounds, and none to NaN. Where the bounds cross, the upper one holds. */
  clamp: {
    takes: ["number", "number", "number"],
    gives: "number",
    order: 6,
    evaluate: (x, low, high) => Math.min(Math.max(x, low), high),
    gradient: (g, _self, x, low, high) => [
      where(and(ge(x, low), le(x, high)), g, 0),
      where(and(lt(x, low), le(low, high)), g, 0),
      where(or(gt(x, high), and(lt(x, low), gt(low, high))), g, 0),
    ],
    lower: null,
    text: call("clamp_"),
    rowText: null,
    packet: "any",
    notation: "clamp",
  },
};

const ops: Builders<ArithmeticOp> = defineOps(rows);

export const {
  mulAdjoint,
  logprob,
  exponent,
  scaledExponent,
  mulNoNan,
  add,
  sub,
  mul,
  div,
  neg,
  pow,
  log,
  eq,
  ne,
  lt,
  le,
  gt,
  ge,
  and,
  or,
  not,
  where,
  min,
  max,
  clamp,
} = ops;
