/**
 * The elementwise functions, as authors see them. Each takes numbers and expressions, broadcasts them to the finest of their spaces and gives an
 * `Expr` there. Arithmetic is float32 on every device but `reference`. Gradients follow PyTorch's conventions; `where` sends nothing to the branch
 * not taken.
 */
import { type Expr, type Expression, type Num, type Operand, toAuthor } from "./expression.js";
import * as arithmetic from "./ops/arithmetic.js";
import * as functions from "./ops/functions.js";

type Unary = (x: Num) => Expr;
type Binary = (a: Num, b: Num) => Expr;
type Ternary = (a: Num, b: Num, c: Num) => Expr;

/** A builder of nodes as authors call it. */
const authored =
  <A extends readonly Operand[]>(build: (...operands: A) => Expression) =>
  (...operands: A): Expr =>
    toAuthor(build(...operands));

/** a + b. */
export const add: Binary = authored(arithmetic.add);
/** a − b. */
export const sub: Binary = authored(arithmetic.sub);
/** a · b. */
export const mul: Binary = authored(arithmetic.mul);
/** a / b. */
export const div: Binary = authored(arithmetic.div);
/** x to the power y. A constant exponent has no gradient; a constant whole one is exact for negative x, and `pow(0, 0)` is 1. */
export const pow: Binary = authored(arithmetic.pow);
/** −x. */
export const neg: Unary = authored(arithmetic.neg);
/** A mask: a equals b; no gradient passes. */
export const eq: Binary = authored(arithmetic.eq);
/** A mask: a differs from b; no gradient passes. */
export const ne: Binary = authored(arithmetic.ne);
/** A mask: a < b; no gradient passes. */
export const lt: Binary = authored(arithmetic.lt);
/** A mask: a ≤ b; no gradient passes. */
export const le: Binary = authored(arithmetic.le);
/** A mask: a > b; no gradient passes. */
export const gt: Binary = authored(arithmetic.gt);
/** A mask: a ≥ b; no gradient passes. */
export const ge: Binary = authored(arithmetic.ge);
/** A mask: both masks hold; no gradient passes. */
export const and: Binary = authored(arithmetic.and);
/** A mask: one mask holds, or both; no gradient passes. */
export const or: Binary = authored(arithmetic.or);
/** A mask: the given one does not hold; no gradient passes. */
export const not: Unary = authored(arithmetic.not);
/** `condition ? a : b`, element by element; both branches are computed, and the one not taken gets no gradient at all. */
export const where: Ternary = authored(arithmetic.where);
/** NaN if either operand is; two equal operands share the gradient in halves. */
export const min: Binary = authored(arithmetic.min);
/** NaN if either operand is; two equal operands share the gradient in halves. */
export const max: Binary = authored(arithmetic.max);
/** `clamp(x, low, high)`; the gradient passes at both bounds. */
export const clamp: Ternary = authored(arithmetic.clamp);
/** Natural logarithm. */
export const log: Unary = authored(arithmetic.log);
/** e to the power x. */
export const exp: Unary = authored(functions.exp);
/** log(1 + x), accurate near 0. */
export const log1p: Unary = authored(functions.log1p);
/** exp(x) − 1, accurate near 0. */
export const expm1: Unary = authored(functions.expm1);
/** The square root: NaN below 0; the gradient at 0 is infinite. */
export const sqrt: Unary = authored(functions.sqrt);
/** x · x. */
export const square: Unary = authored(functions.square);
/** The hyperbolic tangent. */
export const tanh: Unary = authored(functions.tanh);
/** The error function, 2/√π · ∫₀ˣ exp(−t²) dt. */
export const erf: Unary = authored(functions.erf);
/** 1 / (1 + exp(−x)). */
export const sigmoid: Unary = authored(functions.sigmoid);
/** log(1 + exp x). */
export const softplus: Unary = authored(functions.softplus);
/** log σ(x), accurate where σ(x) underflows. */
export const logSigmoid: Unary = authored(functions.logSigmoid);
/** log(1 − exp x) for x ≤ 0, accurate at both ends. */
export const log1mexp: Unary = authored(functions.log1mexp);
/** The gradient at 0 is 0. */
export const abs: Unary = authored(functions.abs);
/** −1, 0 or 1; no gradient passes. */
export const sign: Unary = authored(functions.sign);
/** No gradient passes. */
export const floor: Unary = authored(functions.floor);
/** A mask: x is neither infinite nor NaN; no gradient passes. */
export const isFinite: Unary = authored(functions.isFinite);
/** The value of x, as a constant to the gradient. */
export const stopGradient: Unary = authored(functions.stopGradient);
