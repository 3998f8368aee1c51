/** Arithmetic, comparisons and choices. */
import { constantValue } from "../expression.js";
import { type Builder, defineOp } from "./registry.js";

const whole = (x: number | undefined): x is number => x !== undefined && Number.isInteger(x);

/** The product with an adjoint: an adjoint that is exactly 0 gives 0, also where the derivative is infinite or NaN. */
export const chain: Builder<2> = defineOp({
  name: "chain",
  takes: ["number", "number"],
  gives: "number",
  evaluate: (g, d) => (g === 0 ? g * 0 : g * d),
  gradient: (h, _self, g, d) => [chain(h, d), chain(h, g)],
  text: (g, d) => `chain_(${g}, ${d})`,
});

/** (z − m) − log s, rounded once: the logprob of an entry z of a row with maximum m and s = Σ exp(z − m). */
export const logprob: Builder<3> = defineOp({
  name: "logprob",
  takes: ["number", "number", "number"],
  gives: "number",
  evaluate: (z, m, s) => z - m - Math.log(s),
  gradient: (g, _self, _z, _m, s) => [g, neg(g), neg(chain(g, div(1, s)))],
  text: (z, m, s) => `logprob_(${z}, ${m}, ${s})`,
});

/** The power of two that e^(x − m) is: (x − m) · log₂ e. */
export const exponent: Builder<2> = defineOp({
  name: "exponent",
  takes: ["number", "number"],
  gives: "number",
  evaluate: (x, m) => (x - m) * Math.LOG2E,
  gradient: (g) => [mul(g, Math.LOG2E), mul(g, -Math.LOG2E)],
  text: (x, m) => `exponent_(${x}, ${m})`,
});

/** The product in vocab space: a factor that is exactly 0 makes it 0, value and gradient, so that 0 · log 0 is 0. */
export const absorb: Builder<2> = defineOp({
  name: "absorb",
  takes: ["number", "number"],
  gives: "number",
  evaluate: (a, b) => (a === 0 || b === 0 ? 0 : a * b),
  gradient: (g, _self, a, b) => [absorb(g, b), absorb(g, a)],
  text: (a, b) => `absorb_(${a}, ${b})`,
});

export const add: Builder<2> = defineOp({
  name: "add",
  takes: ["number", "number"],
  gives: "number",
  evaluate: (a, b) => a + b,
  gradient: (g) => [g, g],
  text: (a, b) => `${a} + ${b}`,
});

export const sub: Builder<2> = defineOp({
  name: "sub",
  takes: ["number", "number"],
  gives: "number",
  evaluate: (a, b) => a - b,
  gradient: (g) => [g, neg(g)],
  text: (a, b) => `${a} - ${b}`,
});

export const mul: Builder<2> = defineOp({
  name: "mul",
  takes: ["number", "number"],
  gives: "number",
  evaluate: (a, b) => a * b,
  gradient: (g, _self, a, b) => [chain(g, b), chain(g, a)],
  text: (a, b) => `${a} * ${b}`,
});

export const div: Builder<2> = defineOp({
  name: "div",
  takes: ["number", "number"],
  gives: "number",
  evaluate: (a, b) => a / b,
  gradient: (g, self, _a, b) => [chain(g, div(1, b)), chain(g, neg(div(self, b)))],
  text: (a, b) => `${a} / ${b}`,
});

export const neg: Builder<1> = defineOp({
  name: "neg",
  takes: ["number"],
  gives: "number",
  evaluate: (x) => -x,
  gradient: (g) => [neg(g)],
  text: (x) => (x.startsWith("-") ? `-(${x})` : `-${x}`),
});

/** `1 ** NaN` and `(-1) ** Infinity` are 1, as C and torch have it. */
function power(x: number, y: number): number {
  if (x === 1 || (x === -1 && !Number.isFinite(y) && !Number.isNaN(y))) return 1;
  return x ** y;
}

/** A constant whole exponent n has the derivative n·xⁿ⁻¹ for every x. */
export const pow: Builder<2> = defineOp({
  name: "pow",
  takes: ["number", "number"],
  gives: "number",
  evaluate: power,
  gradient(g, self, x, y) {
    const n = constantValue(y);
    if (n === 0) return [null, null];
    const toBase = chain(g, mul(y, whole(n) && n === 1 ? 1 : pow(x, sub(y, 1))));
    if (n !== undefined) return [toBase, null];
    return [where(eq(y, 0), 0, toBase), where(and(eq(x, 0), ge(y, 0)), 0, chain(g, mul(self, log(x))))];
  },
  text: (x, y) => `pow_(${x}, ${y})`,
});

export const log: Builder<1> = defineOp({
  name: "log",
  takes: ["number"],
  gives: "number",
  evaluate: Math.log,
  gradient: (g, _self, x) => [chain(g, div(1, x))],
  text: (x) => `log_(${x})`,
});

const comparison = (name: string, sign: string, evaluate: (a: number, b: number) => boolean): Builder<2> =>
  defineOp({
    name,
    takes: ["number", "number"],
    gives: "bool",
    evaluate: (a, b) => Number(evaluate(a, b)),
    gradient: null,
    text: (a, b) => `${a} ${sign} ${b}`,
  });

export const eq = comparison("eq", "==", (a, b) => a === b);
export const ne = comparison("ne", "!=", (a, b) => a !== b);
export const lt = comparison("lt", "<", (a, b) => a < b);
export const le = comparison("le", "<=", (a, b) => a <= b);
export const gt = comparison("gt", ">", (a, b) => a > b);
export const ge = comparison("ge", ">=", (a, b) => a >= b);

export const and: Builder<2> = defineOp({
  name: "and",
  takes: ["bool", "bool"],
  gives: "bool",
  evaluate: (a, b) => a && b,
  gradient: null,
  text: (a, b) => `${a} & ${b}`,
});

export const or: Builder<2> = defineOp({
  name: "or",
  takes: ["bool", "bool"],
  gives: "bool",
  evaluate: (a, b) => a || b,
  gradient: null,
  text: (a, b) => `${a} | ${b}`,
});

export const not: Builder<1> = defineOp({
  name: "not",
  takes: ["bool"],
  gives: "bool",
  evaluate: (a) => Number(!a),
  gradient: null,
  text: (a) => `!${a}`,
});

/** Sends nothing to the branch not taken. */
export const where: Builder<3> = defineOp({
  name: "where",
  takes: ["bool", "any", "any"],
  gives: "same",
  evaluate: (c, a, b) => (c ? a : b),
  gradient: (g, _self, c) => [null, where(c, g, 0), where(c, 0, g)],
  text: (c, a, b) => `select(${c}, ${a}, ${b})`,
});

/** NaN if either is; two equal operands share the adjoint. */
const extremum = (name: "min" | "max", loses: Builder<2>): Builder<2> =>
  defineOp({
    name,
    takes: ["number", "number"],
    gives: "number",
    evaluate: name === "min" ? Math.min : Math.max,
    gradient(g, _self, a, b) {
      const shared = where(eq(a, b), mul(g, 0.5), g);
      return [where(loses(a, b), 0, shared), where(loses(b, a), 0, shared)];
    },
    text: (a, b) => `${name}_(${a}, ${b})`,
  });

export const min = extremum("min", gt);
export const max = extremum("max", lt);

/** Passes the adjoint at both bounds, and none to NaN. Where the bounds cross, the upper one holds. */
export const clamp: Builder<3> = defineOp({
  name: "clamp",
  takes: ["number", "number", "number"],
  gives: "number",
  evaluate: (x, low, high) => Math.min(Math.max(x, low), high),
  gradient: (g, _self, x, low, high) => [
    where(and(ge(x, low), le(x, high)), g, 0),
    where(and(lt(x, low), le(low, high)), g, 0),
    where(or(gt(x, high), and(lt(x, low), gt(low, high))), g, 0),
  ],
  text: (x, low, high) => `clamp_(${x}, ${low}, ${high})`,
});
