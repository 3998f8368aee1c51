/**
 * Ranks and phases against a search that knows no ranks: it tries every order in which nodes can be computed, and counts the sweeps and the passes
 * over the row that the cheapest order takes.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ranksOf } from "../../codegen/schedule/ranks.js";
import type { Expression } from "../../dsl/expression.js";
import { topological } from "../../dsl/graph.js";
import { add, fold, input, isCoarseFold, isRowValue, mul } from "../../dsl/ops/index.js";
import { atTarget, logits } from "../../dsl/policy.js";
import { many, SEED } from "../sample.js";

/** A random graph in few nodes, vocabulary expressions of later releases among them. */
interface Draw {
  readonly kind: number;
  readonly a: number;
  readonly b: number;
}
const draws = fc.array(fc.record({ kind: fc.nat(6), a: fc.nat(99), b: fc.nat(99) }), { minLength: 2, maxLength: 7 });

function graphOf(drawn: readonly Draw[]): Expression[] {
  const rows: Expression[] = [logits];
  const others: Expression[] = [input("a", "token")];
  const at = (list: readonly Expression[], i: number) => list[list.length - 1 - (i % Math.min(3, list.length))] as Expression;
  for (const { kind, a, b } of drawn) {
    const any = b % 2 === 0 ? at(rows, b >> 1) : at(others, b >> 1);
    switch (kind) {
      case 0:
        rows.push(a % 2 === 0 ? mul(at(rows, a >> 1), any) : add(at(rows, a >> 1), any));
        break;
      case 1:
        others.push(fold(a % 2 === 0 ? "sum" : "max", at(rows, b), "vocab", "token"));
        break;
      case 2:
        others.push(a % 2 === 0 ? atTarget(at(rows, b)) : add(at(others, a >> 1), at(others, b)));
        break;
      case 3:
        // Tokens that are coupled, and a row that hears of it.
        others.push(fold("sum", fold("max", at(rows, b), "vocab", "token"), "token", "batch"));
        break;
      case 4:
        rows.push(mul(logits, others.at(-1) as Expression));
        break;
      default: {
        const x = at(others, a);
        if (x.space === "token") others.push(fold("sum", x, "token", "batch"));
      }
    }
  }
  // The gradient, and a scalar beside it.
  const gradient = mul(at(rows, 0), at(others, 0));
  const last = others.at(-1) as Expression;
  return [gradient, last.space === "batch" ? last : fold("sum", last, "token", "batch")];
}

/** The fewest sweeps in which everything can be computed: a search over what is known, whether a sweep is under way, and what is written. */
function fewestSweeps(roots: readonly Expression[]): number {
  const nodes = topological(roots).filter((x) => x.operands.length > 0);
  const leaf = (x: Expression) => x.operands.length === 0;
  const bit = new Map(nodes.map((x, i) => [x, 2 ** i]));
  const rowBits = nodes.reduce((bits, x) => (x.space === "vocab" ? bits + (bit.get(x) as number) : bits), 0);
  const goal = nodes.reduce((bits, x) => (roots.includes(x) && x.space !== "vocab" ? bits + (bit.get(x) as number) : bits), 0);
  const gradient = bit.get(roots[0] as Expression) as number;
  // Known nodes, then: in a sweep, gradient written.
  const key = (known: number, inside: boolean, written: boolean) => `${known}/${inside}/${written}`;
  const seen = new Set<string>();
  let layer: [number, boolean, boolean][] = [[0, false, false]];
  for (let sweeps = 0; sweeps < 20; sweeps++) {
    const stack = layer;
    layer = [];
    while (stack.length > 0) {
      const [known, inside, written] = stack.pop() as [number, boolean, boolean];
      const name = key(known, inside, written);
      if (seen.has(name)) continue;
      seen.add(name);
      if (written && (known & goal) === goal) return sweeps;
      // Values of a row are lost when its sweep ends.
      if (inside) stack.push([known & ~rowBits, false, written]);
      else layer.push([known, true, written]);
      for (const x of nodes) {
        const own = bit.get(x) as number;
        if (known & own || !x.operands.every((operand) => leaf(operand) || known & (bit.get(operand) as number))) continue;
        const place = x.space === "vocab" || isRowValue(x) ? inside : isCoarseFold(x) ? !inside : true;
        if (place) stack.push([known | own, inside, written || own === gradient]);
      }
    }
  }
  throw new Error("more sweeps than any graph of this size takes");
}

/** The fewest passes over the row that fold everything that belongs to sweep k: each pass may fold any values that are ready. */
function fewestPhases(roots: readonly Expression[], k: number, rank: (x: Expression) => number): number {
  const folds = topological(roots).filter((x) => x.op === "fold" && isRowValue(x) && rank(x) === k);
  const needs = new Map(folds.map((x) => [x, topological([x]).filter((y) => y !== x && folds.includes(y))]));
  const search = (done: ReadonlySet<Expression>): number => {
    if (done.size === folds.length) return 0;
    const ready = folds.filter((x) => !done.has(x) && (needs.get(x) as Expression[]).every((y) => done.has(y)));
    let least = Number.POSITIVE_INFINITY;
    for (let choice = 1; choice < 2 ** ready.length; choice++) {
      least = Math.min(least, 1 + search(new Set([...done, ...ready.filter((_, i) => choice & (1 << i))])));
    }
    return least;
  };
  return search(new Set());
}

describe("ranks", () => {
  it("are the fewest sweeps, and phases the fewest passes, of small random graphs", () => {
    const found = new Map<number, number>();
    fc.assert(
      fc.property(draws, (drawn) => {
        const roots = graphOf(drawn);
        const { rank, phase } = ranksOf(roots);
        const nodes = topological(roots);
        fc.pre(nodes.length < 16);
        const sweeps = Math.max(...nodes.filter((x) => x.space === "vocab" || isRowValue(x)).map(rank));
        expect(sweeps).toBe(fewestSweeps(roots));
        found.set(sweeps, (found.get(sweeps) ?? 0) + 1);
        for (let k = 1; k <= sweeps; k++) {
          const folds = nodes.filter((x) => x.op === "fold" && isRowValue(x) && rank(x) === k);
          expect(Math.max(0, ...folds.map(phase))).toBe(fewestPhases(roots, k, rank));
        }
      }),
      { seed: SEED, numRuns: many(1500) },
    );
    // One sweep, two, and more were all among them.
    for (const sweeps of [1, 2, 3]) expect(found.get(sweeps)).toBeGreaterThan(10);
  });

  it("of inputs and their reductions are 0, of values of a row 1, of their reductions one and a half", () => {
    const a = input("a", "token");
    const total = fold("sum", a, "token", "batch");
    const greatest = fold("max", logits, "vocab", "token");
    const coupled = fold("sum", greatest, "token", "batch");
    const factor = mul(coupled, a);
    const gradient = mul(logits, factor);
    const { rank } = ranksOf([gradient, total]);
    expect([a, total, logits, greatest, coupled, factor, gradient].map(rank)).toEqual([0, 0, 1, 1, 1.5, 1.5, 2]);
    expect(rank(total)).toBe(0);
  });
});
