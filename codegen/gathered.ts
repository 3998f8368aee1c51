/**
 * Entries of a row, written with as little done per entry as can be: factors that do not depend on the entry are multiplied once per row, and what several
 * terms take of one exponential is taken once.
 */
import type { Expression } from "../dsl/expression.js";
import { oncePerNode, topological, withOperands } from "../dsl/graph.js";
import { absorb, add, mul, neg, sub } from "../dsl/ops/index.js";
import { isExponential } from "./text.js";

/** Which operands of an expression may be looked into: those that are wanted as a whole elsewhere may not. */
type Inside = (x: Expression) => boolean;

/** A product of factors of a row's and of an entry of it. */
interface Product {
  readonly apart: readonly Expression[];
  readonly entries: readonly Expression[];
  /** Whether a factor of 0 makes it 0 whatever the others are. */
  readonly absorbs: boolean;
}

/** The same expressions of an entry. `known` is none that anything is done for; `nonZero` are values of the row that are known not to be 0. */
export function gathered(
  roots: readonly Expression[],
  known: Expression | null,
  nonZero: ReadonlySet<Expression> = new Set(),
): readonly Expression[] {
  const given = (x: Expression) => x.space !== "vocab" || x === known;
  const uses = new Map<Expression, number>(roots.map((x) => [x, 1]));
  for (const x of topological(roots, given)) if (!given(x)) for (const y of x.operands) uses.set(y, (uses.get(y) ?? 0) + 1);
  const inside: Inside = (x) => !given(x) && uses.get(x) === 1;
  const visit = oncePerNode((x): Expression => {
    if (given(x)) return x;
    const better = rewritten(x, inside, nonZero);
    return withOperands(better, better.operands.map(visit));
  });
  return roots.map(visit);
}

function rewritten(x: Expression, inside: Inside, nonZero: ReadonlySet<Expression>): Expression {
  if (x.op === "add" || x.op === "sub") return summed(x, inside);
  const product = scaledExponential(x) ?? plainProduct(x, inside, nonZero);
  return product.apart.length < 2 || product.entries.length === 0 ? x : made(product);
}

function made({ apart, entries, absorbs }: Product): Expression {
  const by = absorbs ? absorb : mul;
  const all = (of: readonly Expression[]) => of.reduce((a, b) => by(a, b) as Expression);
  return all(apart.length > 0 ? [all(apart), ...entries] : entries);
}

/** A product of one exponential, which is between 0 and 1, and factors of the row's: an adjoint of 0 needs no care there. */
function scaledExponential(x: Expression): Product | null {
  if (isExponential(x)) return { apart: [], entries: [x], absorbs: false };
  const [a, b] = x.operands as [Expression, Expression];
  if (x.op === "neg") {
    const product = scaledExponential(a);
    return product && negated(product);
  }
  if (!["mul", "chain", "absorb"].includes(x.op) || (a.space === "vocab") === (b.space === "vocab")) return null;
  const [factor, entry] = a.space === "vocab" ? [b, a] : [a, b];
  const product = scaledExponential(entry);
  return product && { ...product, apart: [factor, ...product.apart], absorbs: product.absorbs || x.op === "absorb" };
}

function plainProduct(x: Expression, inside: Inside, nonZero: ReadonlySet<Expression>): Product {
  const [a, b] = x.operands as [Expression, Expression];
  const of = (y: Expression): Product =>
    y.space !== "vocab"
      ? { apart: [y], entries: [], absorbs: false }
      : inside(y)
        ? plainProduct(y, inside, nonZero)
        : { apart: [], entries: [y], absorbs: false };
  if (x.op === "neg") {
    const product = of(a);
    return product.apart.length > 0 ? negated(product) : { apart: [], entries: [x], absorbs: false };
  }
  if (x.op !== "mul" && !(x.op === "chain" && nonZero.has(a))) return { apart: [], entries: [x], absorbs: false };
  const [left, right] = [of(a), of(b)];
  return { apart: [...left.apart, ...right.apart], entries: [...left.entries, ...right.entries], absorbs: false };
}

function negated(product: Product): Product {
  const [first, ...rest] = product.apart;
  return first ? { ...product, apart: [neg(first) as Expression, ...rest] } : product;
}

interface Term {
  readonly x: Expression;
  readonly minus: boolean;
}

function termsOf(x: Expression, inside: Inside, minus = false): Term[] {
  const [a, b] = x.operands as [Expression, Expression];
  const of = (y: Expression, turned: boolean) => (inside(y) ? termsOf(y, inside, turned) : [{ x: y, minus: turned }]);
  if (x.op === "add") return [...of(a, minus), ...of(b, minus)];
  if (x.op === "sub") return [...of(a, minus), ...of(b, !minus)];
  return [{ x, minus }];
}

/** The sum, with the terms of each exponential as one. */
function summed(x: Expression, inside: Inside): Expression {
  const of = new Map<Expression, { factors: Expression[]; absorbs: boolean }>();
  const others: Term[] = [];
  for (const term of termsOf(x, inside)) {
    const product = term.x.space === "vocab" ? scaledExponential(term.x) : null;
    const [entry] = product?.entries ?? [];
    if (!product || !entry || product.apart.length === 0) {
      others.push(term);
      continue;
    }
    const { absorbs } = product;
    const factor = made({ apart: [], entries: product.apart, absorbs });
    const known = of.get(entry) ?? { factors: [], absorbs: false };
    of.set(entry, {
      factors: [...known.factors, term.minus ? (neg(factor) as Expression) : factor],
      absorbs: known.absorbs || absorbs,
    });
  }
  if ([...of.values()].every(({ factors }) => factors.length < 2)) return x;
  const ours = [...of].map(([entry, { factors, absorbs }]) => {
    const factor = factors.reduce((a, b) => add(a, b) as Expression);
    return made({ apart: [factor], entries: [entry], absorbs });
  });
  return others.reduce(
    (sum, term) => (term.minus ? sub(sum, term.x) : add(sum, term.x)) as Expression,
    ours.reduce((a, b) => add(a, b) as Expression),
  );
}
