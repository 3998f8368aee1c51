/** Functions of one number. */
import { add, chain, div, mul, neg, sub } from "./arithmetic.js";
import { type Builder, defineOp, type OpRow } from "./registry.js";

type Derivative = NonNullable<OpRow["gradient"]>;

function unary(
  name: string,
  evaluate: (x: number) => number,
  gradient: Derivative | null,
  text: OpRow["text"],
  rowText?: OpRow["text"],
): Builder<1> {
  return defineOp({ name, takes: ["number"], gives: "number", evaluate, gradient, text, ...(rowText && { rowText }) });
}

export const exp: Builder<1> = unary(
  "exp",
  Math.exp,
  (g, self) => [chain(g, self)],
  (x) => `exp_(${x})`,
  (x) => `fast_exp_(${x})`,
);

export const exp2: Builder<1> = unary(
  "exp2",
  (x) => 2 ** x,
  (g, self) => [chain(g, mul(self, Math.LN2))],
  (x) => `exp2_(${x})`,
);

export const log1p: Builder<1> = unary(
  "log1p",
  Math.log1p,
  (g, _self, x) => [chain(g, div(1, add(1, x)))],
  (x) => `log1p_(${x})`,
);

export const expm1: Builder<1> = unary(
  "expm1",
  Math.expm1,
  (g, _self, x) => [chain(g, exp(x))],
  (x) => `expm1_(${x})`,
);

export const sqrt: Builder<1> = unary(
  "sqrt",
  Math.sqrt,
  (g, self) => [chain(g, div(0.5, self))],
  (x) => `sqrt_(${x})`,
);

export const square: Builder<1> = unary(
  "square",
  (x) => x * x,
  (g, _self, x) => [chain(g, mul(2, x))],
  (x) => `${x} * ${x}`,
);

export const tanh: Builder<1> = unary(
  "tanh",
  Math.tanh,
  (g, self) => [chain(g, mul(sub(1, self), add(1, self)))],
  (x) => `tanh_(${x})`,
);

const logistic = (x: number) => 1 / (1 + Math.exp(-x));
const softplusOf = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

export const sigmoid: Builder<1> = unary(
  "sigmoid",
  logistic,
  (g, self, x) => [chain(g, mul(self, sigmoid(neg(x))))],
  (x) => `sigmoid_(${x})`,
);

/** log(1 + exp x). */
export const softplus: Builder<1> = unary(
  "softplus",
  softplusOf,
  (g, _self, x) => [chain(g, sigmoid(x))],
  (x) => `softplus_(${x})`,
);

export const logSigmoid: Builder<1> = unary(
  "logSigmoid",
  (x) => -softplusOf(-x),
  (g, _self, x) => [chain(g, sigmoid(neg(x)))],
  (x) => `log_sigmoid_(${x})`,
);

/** log(1 − exp x) for x ≤ 0, accurate at both ends. */
export const log1mexp: Builder<1> = unary(
  "log1mexp",
  (x) => (x > -Math.LN2 ? Math.log(-Math.expm1(x)) : Math.log1p(-Math.exp(x))),
  (g, _self, x) => [chain(g, div(-1, expm1(neg(x))))],
  (x) => `log1mexp_(${x})`,
);

export const abs: Builder<1> = unary(
  "abs",
  Math.abs,
  (g, _self, x) => [chain(g, sign(x))],
  (x) => `abs_(${x})`,
);

export const sign: Builder<1> = unary("sign", Math.sign, null, (x) => `sign_(${x})`);

export const floor: Builder<1> = unary("floor", Math.floor, null, (x) => `floor_(${x})`);

export const isFinite: Builder<1> = defineOp({
  name: "isFinite",
  takes: ["number"],
  gives: "bool",
  evaluate: (x) => Number(Number.isFinite(x)),
  gradient: null,
  text: (x) => `is_finite_(${x})`,
});

/** Its operand's value; no adjoint passes. */
export const stopGradient: Builder<1> = unary(
  "stopGradient",
  (x) => x,
  null,
  (x) => x,
);
