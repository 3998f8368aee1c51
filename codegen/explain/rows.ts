/** The gradient of a logit as people write it: numbers of the token times simple functions of the entry, first of all 1[v = y] − p[v]. */
import type { Expression } from "../../dsl/expression.js";
import { softmax } from "../../dsl/ops/index.js";
import { isTarget, logits } from "../../dsl/policy.js";
import {
  fromProduct,
  multipliedOut,
  number,
  opened,
  type Product,
  productOf,
  splitFactors,
  termsOf,
  times,
  total,
} from "./products.js";

/** A factor per token (or coarser) times a function of the entry. */
export interface RowTerm {
  readonly factor: Expression;
  readonly row: Expression;
}

const P = softmax(logits);

interface Collected {
  readonly inner: Product;
  readonly outer: Product[];
}

/** A tidy expression in vocab space as a sum of row terms. */
export function rowTerms(gradient: Expression): readonly RowTerm[] {
  const collected = new Map<Expression, Collected>();
  for (const term of multipliedOut(gradient)) {
    const [outer, inner] = splitFactors(term, "token");
    const row = fromProduct(inner);
    const known = collected.get(row);
    if (known) known.outer.push(outer);
    else collected.set(row, { inner, outer: [outer] });
  }
  const factors = new Map([...collected].map(([row, { outer }]) => [row, total(outer)]));
  const result: RowTerm[] = [];
  const ofTarget = factors.get(isTarget);
  if (ofTarget) {
    factors.delete(isTarget);
    const ofP = factors.get(P);
    const rest = ofP && remainder(ofP, ofTarget);
    // f·1[v = y] + g·p is f·(1[v = y] − p) and (f + g)·p, where that is less to read.
    if (ofP && rest && (isNought(rest) || opened(rest).length < opened(ofP).length)) {
      result.push({ factor: ofTarget, row: total([productOf(isTarget), times(number(-1), productOf(P))]) });
      factors.set(P, rest);
    } else result.push({ factor: ofTarget, row: isTarget });
  }
  return [...result, ...grouped(factors)].map(signed);
}

/** f + g, the sums of the one or of both multiplied out: whichever is shorter. */
function remainder(g: Expression, f: Expression): Expression {
  const [one, both] = [total([...opened(g), ...termsOf(f)]), total([...opened(g), ...opened(f)])] as const;
  return isNought(one) || (!isNought(both) && opened(one).length < opened(both).length) ? one : both;
}

function isNought(x: Expression): boolean {
  return x.op === "constant" && x.attribute.value === 0;
}

/** Terms that share p[v], or another function of the entry, are written p[v]·(…). */
function grouped(factors: ReadonlyMap<Expression, Expression>): RowTerm[] {
  const live = [...factors].filter(([, factor]) => !isNought(factor));
  const withP = live.filter(([row]) => productOf(row).powers.get(P) === 1);
  const others = live.filter(([row]) => !withP.some(([other]) => other === row));
  const terms = (list: typeof live) => total(list.map(([row, factor]) => times(productOf(factor), productOf(row))));
  if (withP.length === 1 && others.length > 0) {
    const [all] = split(terms(live)) as [RowTerm];
    if (productOf(all.factor).powers.size > 0) return [all];
  }
  const first = withP.length > 0 ? split(terms(withP)) : [];
  if (others.length === 0) return first;
  const [whole] = split(terms(others)) as [RowTerm];
  const alone = () => others.flatMap(([row, factor]) => split(terms([[row, factor]])));
  return [...first, ...(productOf(whole.factor).powers.size > 0 ? [whole] : alone())];
}

/** One product as a factor and a row. */
function split(x: Expression): RowTerm[] {
  const [outer, inner] = splitFactors(productOf(x), "token");
  return [{ factor: fromProduct(outer), row: fromProduct(inner) }];
}

/** −f·(a − b) is f·(b − a) where f is a plain number. */
function signed({ factor, row }: RowTerm): RowTerm {
  const product = productOf(factor);
  if (product.factor >= 0 || product.powers.size > 0 || row.op !== "sub") return { factor, row };
  return {
    factor: fromProduct({ ...product, factor: -product.factor }),
    row: total(termsOf(row).map((term) => times(number(-1), term))),
  };
}

/** The terms as one expression again. */
export function together(terms: readonly RowTerm[]): Expression {
  return terms.length === 0 ? total([]) : total(terms.flatMap(({ factor, row }) => [times(productOf(factor), productOf(row))]));
}
