/** On plain values a rewritten program does what JavaScript does: the same values, the same effects in the same order, the same errors. */
import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BINARY, chain, expression, OTHERS, program, UNARY, VALUES, values } from "./programs.js";
import { runNative, runRewritten } from "./support.js";

/** Many expressions share a translation, which costs more than running them. */
const batch = (arbitrary: fc.Arbitrary<string>) => fc.array(arbitrary, { minLength: 30, maxLength: 40, size: "max" });

/** A result as text: functions and objects look alike if they are, and `-0` is not 0. */
function shown(result: unknown): string {
  return inspect(result, {
    depth: 6,
    breakLength: Number.POSITIVE_INFINITY,
    maxArrayLength: null,
    maxStringLength: null,
  }).replace(/^( +at .*\n?)+/gm, "");
}

/** `ReferenceError: x` and the like, without the stack. */
function plainly(results: unknown): unknown {
  return (results as [unknown, unknown, unknown][]).map(([outcome, ...rest]) => [
    outcome instanceof Error ? `${outcome.name}: ${outcome.message}` : outcome,
    ...rest,
  ]);
}

function same(expressions: readonly string[], initial: readonly string[]): void {
  const source = program(expressions, initial);
  const native = plainly(runNative(source, "results")) as unknown[];
  const rewritten = plainly(runRewritten(source, "results")) as unknown[];
  expressions.forEach((text, i) => {
    expect(shown(rewritten[i]), text).toBe(shown(native[i]));
  });
}

describe("a rewritten program equals JavaScript on plain values", () => {
  test("expressions of every operator", () => {
    fc.assert(
      fc.property(batch(expression), values, (expressions, initial) => same(expressions, initial)),
      { numRuns: 60 },
    );
  });

  test("every operator on every pair of values", () => {
    const all = [...VALUES, ...OTHERS];
    const source = `
const results = [];
const effects = [];
const noisy = (name, value) => ({ valueOf() { effects.push(name); return value; }, toString() { effects.push(name + "!"); return String(value); } });
const attempt = (run) => { try { return run(); } catch (error) { return error; } };
for (const a of [${all}]) {
  results.push(attempt(() => [${UNARY.map((op) => `attempt(() => ${op}a)`)}]));
  for (const b of [${all}]) results.push(attempt(() => [${[...BINARY, "&&", "||", "??"].map((op) => `attempt(() => a ${op} b)`)}, effects.splice(0)]));
}`;
    const [native, rewritten] = [runNative, runRewritten].map((run) => run(source, "results") as unknown[]) as [
      unknown[],
      unknown[],
    ];
    expect(native.length).toBe(all.length * (all.length + 1));
    expect(rewritten.map(shown)).toEqual(native.map(shown));
  });

  test("operators in a row, as they bind", () => {
    fc.assert(
      fc.property(batch(chain), values, (expressions, initial) => same(expressions, initial)),
      { numRuns: 25 },
    );
  });

  test.each([
    "say(1, a) + say(2, b)",
    "noisy('x', 1) < noisy('y', 2)",
    "get().p += say(1, 2)",
    "get('h').box[key('p')] **= (a = 3)",
    "box[(box = { p: 7 }, 'p')] += 1",
    "(a ||= say(1, 2), b &&= say(3, 4), c ??= say(5, 6))",
    "get().q ||= say(1, 2)",
    "(null).p += say(1, 2)",
    "a ? say(1, 2) : say(3, 4)",
    "a && say(1, 2) || say(3, 4)",
    "(() => { const k = 1; try { k ||= 2; k &&= 3; } catch (error) { return error.message; } })()",
    "(() => { const f = null; let g; g ??= () => 1; let h; h ||= () => 1; return [f, g.name, h.name]; })()",
    "Math.max() + Math.min(1, '0') + Math.pow(2, 3, 4)",
    "['1', 'x', null].map(isFinite).concat(['1', NaN].map(Number.isNaN))",
    "(function () { return arguments[0] && arguments[1] ? arguments[0] + arguments[1] : 0; })(1, 2)",
    "(() => { class A { x = 1; #y = 2; f() { return this && (this.#y += this.x) ? this.#y : 0; } } return new A().f(); })()",
    "(() => { class A { get x() { return 1; } } class B extends A { f() { return super.x > 0 && super.x + 1; } } return new B().f(); })()",
    "[...(function* () { const x = a ? yield 1 : yield 2; yield x || 3; })()]",
  ])("%s", (text) => {
    for (const initial of [
      ["0", "1", "undefined", "2"],
      ["2", "''", "null", "NaN"],
    ]) {
      same([text], initial);
    }
  });
});

/** Methods that the front end guards, with receivers of every kind: nothing may be other than JavaScript has it. */
const GUARDED = `
const log = [];
const told = (x) => (log.push(x), x);
class Own { filter(f) { return f === keep; } static sort(f) { return f; } }
const keep = (x) => x > 1;
class Longer extends Array { some(f) { return super.some(f) && told("longer"); } }
const absent = undefined;
const thrown = (f) => { try { return f(); } catch (error) { return error.constructor.name; } };
const results = [
  [1, 2, 3].filter(keep), told([3, 1, 2]).filter((x, i, all) => all[i] === x && i > 0), [3, 1, 2].sort((a, b) => a - b), ["b", "a"].sort(),
  [1, 2].find((x) => x), [1, 2].find((x) => x === 5), [0, "", null].some(Boolean), [0, 1].filter(Boolean), [1, 2].every(keep),
  Float32Array.of(1, 2, 3).filter(keep), new Map([["some", 1]]).size, new Own().filter(keep), Own.sort(keep) === keep,
  new Longer(1, 2, 3).some(keep), [4].filter(function (x) { return this.limit < x; }, { limit: 3 }), absent?.filter(keep), absent?.list.some(keep),
  { list: [1, 2] }?.list.filter(keep), { find: (x) => x }.find(3), [1, 2].filter(keep).map((x) => -x).some((x) => x < 0),
  thrown(() => absent.filter(keep)), thrown(() => [1].filter(3)), thrown(() => ({ filter: 1 }).filter(keep)), Math.random() < 1, new Date(0).getTime(),
  ((xs = [1, 2, 3].filter(keep)) => xs)(), [[1, 2], [3]].filter((x) => x.some(keep)), log,
];
`;

test("callbacks under guard leave plain arrays, and methods of others of these names, as they are", () => {
  expect(shown(runRewritten(GUARDED, "results"))).toBe(shown(runNative(GUARDED, "results")));
});
