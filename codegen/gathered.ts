/**
 * The gradient of an entry, written with as little done per entry as can be: factors of the row's are multiplied once per row, and what several terms take of
 * one exponential is taken once. What is not a sum or a product is left as it is: elsewhere it must come out with the same bits.
 */
import type { Expression } from "../dsl/expression.js";
import { topological, withOperands } from "../dsl/graph.js";
import { absorb, add, chain, mul, neg, sub } from "../dsl/ops/index.js";
import { isExponential } from "./text.js";

/** A product of factors of the row's and one entry of it. */
interface Product {
  readonly factors: readonly Expression[];
  readonly entry: Expression;
  /** Which 0 makes it 0 whatever the rest is: none, a factor's, or the entry's, too. */
  readonly care: "none" | "factors" | "all";
}

const CARE = ["none", "factors", "all"] as const;
const most = (a: Product["care"], b: Product["care"]) => (CARE.indexOf(a) > CARE.indexOf(b) ? a : b);

/** `known`: what has a value already. `nonZero`: values of the row that are known not to be 0. */
export function gathered(root: Expression, known: Expression | null, nonZero: ReadonlySet<Expression>): Expression {
  const ends = (x: Expression) => x.space !== "vocab" || x === known;
  const uses = new Map<Expression, number>();
  for (const x of topological([root], ends)) if (!ends(x)) for (const y of x.operands) uses.set(y, (uses.get(y) ?? 0) + 1);
  /** Whether it is wanted here alone. */
  const inside = (x: Expression) => !ends(x) && uses.get(x) === 1;

  const productOf = (x: Expression): Product => {
    const whole: Product = { factors: [], entry: x, care: "none" };
    if (x === known) return whole;
    const [a, b] = x.operands as [Expression, Expression];
    if (x.op === "neg") {
      const { factors, ...rest } = productOf(a);
      const [first, ...others] = factors;
      return first ? { ...rest, factors: [neg(first) as Expression, ...others] } : whole;
    }
    if (!["mul", "chain", "absorb"].includes(x.op) || (a.space === "vocab") === (b.space === "vocab")) return whole;
    const [factor, rest] = a.space === "vocab" ? [b, a] : [a, b];
    // What is chained the other way round has no adjoint of the row's.
    if (x.op === "chain" && factor !== a) return whole;
    const found = productOf(rest);
    // An exponential has a name where others want it, too.
    const product = inside(rest) || isExponential(found.entry) ? found : { ...whole, entry: rest };
    const plain = x.op === "mul" || (x.op === "chain" && nonZero.has(a));
    return {
      factors: [factor, ...product.factors],
      entry: product.entry,
      care: most(product.care, plain ? "none" : x.op === "chain" ? "factors" : "all"),
    };
  };

  const made = ({ factors, entry, care }: Product): Expression => {
    if (factors.length === 0) return entry;
    const factor = factors.reduce((a, b) => (care === "none" ? mul(a, b) : absorb(a, b)) as Expression);
    const by = care === "none" ? mul : care === "factors" ? chain : absorb;
    return by(factor, entry) as Expression;
  };

  const visit = (x: Expression): Expression => {
    if (ends(x)) return x;
    if (x.op === "add" || x.op === "sub") return sum(x);
    if (x.op === "where") {
      const [condition, a, b] = x.operands as [Expression, Expression, Expression];
      return withOperands(x, [condition, visit(a), visit(b)]);
    }
    const [a] = x.operands as [Expression];
    if (x.op === "neg" || (x.op === "chain" && a.space === "vocab")) return withOperands(x, [visit(a), ...x.operands.slice(1)]);
    const product = productOf(x);
    return product.factors.length < 2 ? x : made(product);
  };

  const sum = (x: Expression): Expression => {
    const terms: { readonly x: Expression; readonly minus: boolean }[] = [];
    const split = (y: Expression, minus: boolean) => {
      const [a, b] = y.operands as [Expression, Expression];
      const sums = y === x || inside(y);
      if (sums && y.op === "add") {
        split(a, minus);
        split(b, minus);
      } else if (sums && y.op === "sub") {
        split(a, minus);
        split(b, !minus);
      } else terms.push({ x: y, minus });
    };
    split(x, false);
    const taken = new Map<Expression, Product[]>();
    const others: typeof terms = [];
    for (const term of terms) {
      const product = ends(term.x) ? null : productOf(term.x);
      if (!product || product.factors.length === 0 || !isExponential(product.entry)) {
        others.push({ ...term, x: visit(term.x) });
        continue;
      }
      const of = taken.get(product.entry) ?? [];
      taken.set(product.entry, of);
      of.push(
        term.minus
          ? { ...product, factors: [neg(product.factors[0] as Expression) as Expression, ...product.factors.slice(1)] }
          : product,
      );
    }
    const ours = [...taken].map(([entry, products]) => {
      const care = products.map((product) => product.care).reduce(most);
      const factors = products.map((product) =>
        product.factors.reduce((a, b) => (product.care === "none" ? mul(a, b) : absorb(a, b)) as Expression),
      );
      return { x: made({ factors: [factors.reduce((a, b) => add(a, b) as Expression)], entry, care }), minus: false };
    });
    const [first, ...rest] = [...ours, ...others.filter(({ minus }) => !minus), ...others.filter(({ minus }) => minus)];
    if (!first) throw new Error("a sum has terms");
    return rest.reduce(
      (total, term) => (term.minus ? sub(total, term.x) : add(total, term.x)) as Expression,
      first.minus ? (neg(first.x) as Expression) : first.x,
    );
  };

  return visit(root);
}
