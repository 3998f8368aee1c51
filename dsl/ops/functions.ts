/** Functions of one number. */
import { add, div, mul, mulAdjoint, neg, sub } from "./arithmetic.js";
import { ERF_SLOPE, erf as errorFunction } from "./erf.js";
import type { UnaryOp } from "./names.js";
import { type Builders, call, defineOps, type OpRows, text } from "./table.js";

type FunctionOp = Exclude<UnaryOp, "neg" | "not" | "log">;

const number = { takes: ["number"], gives: "number", lower: null, rowText: null, packet: "lanes" } as const;

const logistic = (x: number) => 1 / (1 + Math.exp(-x));
const softplusOf = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

const rows: OpRows<FunctionOp> = {
  exp: {
    ...number,
    order: 14,
    evaluate: Math.exp,
    gradient: (g, self) => [mulAdjoint(g, self)],
    text: call("exp_"),
    rowText: call("fast_exp_"),
    packet: "packets",
    notation: "exp",
  },
  exp2: {
    ...number,
    order: 11,
    evaluate: (x) => 2 ** x,
    gradient: (g, self) => [mulAdjoint(g, mul(self, Math.LN2))],
    text: call("exp2_"),
    packet: "packets",
    notation: null,
  },
  log1p: {
    ...number,
    order: 24,
    evaluate: Math.log1p,
    gradient: (g, _self, x) => [mulAdjoint(g, div(1, add(1, x)))],
    text: call("log1p_"),
    notation: "log1p",
  },
  expm1: {
    ...number,
    order: 12,
    evaluate: Math.expm1,
    gradient: (g, _self, x) => [mulAdjoint(g, exp(x))],
    text: call("expm1_"),
    notation: "expm1",
  },
  sqrt: {
    ...number,
    order: 47,
    evaluate: Math.sqrt,
    gradient: (g, self) => [mulAdjoint(g, div(0.5, self))],
    text: call("sqrt_"),
    notation: "√",
  },
  square: {
    ...number,
    order: 48,
    evaluate: (x) => x * x,
    gradient: (g, _self, x) => [mulAdjoint(g, mul(2, x))],
    text: text((x) => `${x} * ${x}`),
    packet: "any",
    notation: "square",
  },
  tanh: {
    ...number,
    order: 51,
    evaluate: Math.tanh,
    gradient: (g, self) => [mulAdjoint(g, mul(sub(1, self), add(1, self)))],
    text: call("tanh_"),
    notation: "tanh",
  },
  erf: {
    ...number,
    order: 54,
    evaluate: errorFunction,
    gradient: (g, _self, x) => [mulAdjoint(g, mul(ERF_SLOPE, exp(neg(square(x)))))],
    text: call("erf_"),
    notation: "erf",
  },
  sigmoid: {
    ...number,
    order: 43,
    evaluate: logistic,
    gradient: (g, self, x) => [mulAdjoint(g, mul(self, sigmoid(neg(x))))],
    text: call("sigmoid_"),
    notation: "σ",
  },
  /** log(1 + exp x). */
  softplus: {
    ...number,
    order: 46,
    evaluate: softplusOf,
    gradient: (g, _self, x) => [mulAdjoint(g, sigmoid(x))],
    text: call("softplus_"),
    notation: "softplus",
  },
  logSigmoid: {
    ...number,
    order: 25,
    evaluate: (x) => -softplusOf(-x),
    gradient: (g, _self, x) => [mulAdjoint(g, sigmoid(neg(x)))],
    text: call("log_sigmoid_"),
    notation: "log σ",
  },
  /** log(1 − exp x) for x ≤ 0, accurate at both ends. */
  log1mexp: {
    ...number,
    order: 23,
    evaluate: (x) => (x > -Math.LN2 ? Math.log(-Math.expm1(x)) : Math.log1p(-Math.exp(x))),
    gradient: (g, _self, x) => [mulAdjoint(g, div(-1, expm1(neg(x))))],
    text: call("log1mexp_"),
    notation: "log1mexp",
  },
  abs: {
    ...number,
    order: 1,
    evaluate: Math.abs,
    gradient: (g, _self, x) => [mulAdjoint(g, sign(x))],
    text: call("abs_"),
    notation: null,
  },
  sign: { ...number, order: 44, evaluate: Math.sign, gradient: null, text: call("sign_"), notation: "sign" },
  floor: { ...number, order: 15, evaluate: Math.floor, gradient: null, text: call("floor_"), notation: null },
  isFinite: {
    ...number,
    gives: "bool",
    order: 20,
    evaluate: (x) => Number(Number.isFinite(x)),
    gradient: null,
    text: call("is_finite_"),
    packet: "packets",
    notation: "isFinite",
  },
  /** Its operand's value; no adjoint passes. */
  stopGradient: {
    ...number,
    order: 49,
    evaluate: (x) => x,
    gradient: null,
    lower: (x) => x,
    text: text((x = "") => x),
    packet: "any",
    notation: null,
  },
};

const ops: Builders<FunctionOp> = defineOps(rows);

export const {
  exp,
  exp2,
  log1p,
  expm1,
  sqrt,
  square,
  tanh,
  erf,
  sigmoid,
  softplus,
  logSigmoid,
  log1mexp,
  abs,
  sign,
  floor,
  isFinite,
  stopGradient,
} = ops;
