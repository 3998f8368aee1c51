/**
 * The gradient of an entry, written with as little done per entry as can be: factors of the row's are multiplied once per row, and what several terms take of
 * one exponential is taken once. What is not a sum or a product is left as it is: elsewhere it must come out with the same bits.
 */
import type { Expression } from "../dsl/expression.js";
import { topological, withOperands } from "../dsl/graph.js";
import { absorb, add, chain, mul, neg, sub } from "../dsl/ops/index.js";
import { isExponential } from "./text.js";

/** A product of factors of the row's and one entry of it, or the entry alone. */
interface Product {
  readonly factors: readonly Expression[];
  readonly entry: Expression;
  /** Which 0 makes it 0 whatever the rest is: none, a factor's, or the entry's, too. */
  readonly care: Care;
}

type Care = 0 | 1 | 2;
const NONE = 0;
const FACTORS = 1;
const ALL = 2;
const more = (a: Care, b: Care): Care => (a > b ? a : b);

const alone = (entry: Expression): Product => ({ factors: [], entry, care: NONE });
const factorOf = ({ factors, care }: Product) =>
  factors.reduce((a, b) => (care === NONE ? mul(a, b) : absorb(a, b)) as Expression);
const made = (factor: Expression, entry: Expression, care: Care) => [mul, chain, absorb][care]?.(factor, entry) as Expression;

/** `known`: what has a value already. `nonZero`: values of the row that are known not to be 0. */
export function gathered(root: Expression, known: Expression | null, nonZero: ReadonlySet<Expression>): Expression {
  const ends = (x: Expression) => x.space !== "vocab" || x === known;
  const uses = new Map<Expression, number>();
  for (const x of topological([root], ends)) if (!ends(x)) for (const y of x.operands) uses.set(y, (uses.get(y) ?? 0) + 1);
  /** Whether it is wanted here alone. */
  const inside = (x: Expression) => !ends(x) && uses.get(x) === 1;

  /** What an operand is a product of: of an exponential, which has a name, also where the whole is wanted elsewhere. */
  const within = (x: Expression): Product => {
    const product = ends(x) ? alone(x) : productOf(x);
    return inside(x) || isExponential(product.entry) ? product : alone(x);
  };

  const productOf = (x: Expression): Product => {
    const [a, b] = x.operands as [Expression, Expression];
    if (x.op === "neg") {
      const { factors, entry, care } = within(a);
      const [first, ...others] = factors;
      return first ? { factors: [neg(first) as Expression, ...others], entry, care } : alone(x);
    }
    const scales = ["mul", "chain", "absorb"].includes(x.op) && (a.space === "vocab") !== (b.space === "vocab");
    // What is chained the other way round has no adjoint of the row's.
    if (!scales || (x.op === "chain" && a.space === "vocab")) return alone(x);
    const [factor, rest] = a.space === "vocab" ? [b, a] : [a, b];
    const { factors, entry, care } = within(rest);
    const own = x.op === "mul" || (x.op === "chain" && nonZero.has(a)) ? NONE : x.op === "chain" ? FACTORS : ALL;
    return { factors: [factor, ...factors], entry, care: more(care, own) };
  };

  const visit = (x: Expression): Expression => {
    if (ends(x)) return x;
    const [a, b, c] = x.operands as [Expression, Expression, Expression];
    if (x.op === "add" || x.op === "sub") return sum(x);
    if (x.op === "where") return withOperands(x, [a, visit(b), visit(c)]);
    if (x.op === "neg") return withOperands(x, [visit(a)]);
    if (x.op === "chain" && a.space === "vocab") return withOperands(x, [visit(a), b]);
    const product = productOf(x);
    return product.factors.length < 2 ? x : made(factorOf(product), product.entry, product.care);
  };

  const sum = (x: Expression): Expression => {
    const terms: { x: Expression; readonly minus: boolean }[] = [];
    /** Where the term of an exponential is, and what it is multiplied with so far. */
    const taken = new Map<Expression, { readonly at: number; factor: Expression; care: Care }>();
    const split = (y: Expression, minus: boolean): void => {
      const [a, b] = y.operands as [Expression, Expression];
      if ((y === x || inside(y)) && (y.op === "add" || y.op === "sub")) {
        split(a, minus);
        split(b, y.op === "sub" ? !minus : minus);
        return;
      }
      const product = within(y);
      if (product.factors.length === 0 || !isExponential(product.entry)) {
        terms.push({ x: visit(y), minus });
        return;
      }
      const factor = minus ? (neg(factorOf(product)) as Expression) : factorOf(product);
      const before = taken.get(product.entry);
      if (before) {
        before.factor = add(before.factor, factor) as Expression;
        before.care = more(before.care, product.care);
      } else {
        taken.set(product.entry, { at: terms.length, factor, care: product.care });
        terms.push({ x: y, minus: false });
      }
    };
    split(x, false);
    for (const [entry, { at, factor, care }] of taken) (terms[at] as { x: Expression }).x = made(factor, entry, care);
    const [first, ...rest] = terms as [{ x: Expression; minus: boolean }, ...typeof terms];
    const start = first.minus ? (neg(first.x) as Expression) : first.x;
    return rest.reduce((total, term) => (term.minus ? sub(total, term.x) : add(total, term.x)) as Expression, start);
  };

  return visit(root);
}
