/** On expressions a rewritten operator is the function of the same meaning: the same node, for equal expressions are one object. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Expr, isExpression } from "../../dsl/expression.js";
import * as functions from "../../dsl/functions.js";
import { config, input } from "../../dsl/ops/index.js";
import { policyLogprobs } from "../../dsl/policy.js";
import { runNative, runRewritten, type Scope } from "./support.js";

const SCOPE: Scope = {
  x: policyLogprobs,
  y: input("y", "token"),
  s: input("s", "sequence"),
  k: config("k"),
  ...functions,
};

/** Operators as their authors write them, and the calls that they stand for. */
function expectSame(pairs: readonly (readonly [written: string, called: string])[]): void {
  const list = (which: 0 | 1) => `const results = [${pairs.map((pair) => `() => ${pair[which]}`).join(",\n")}].map((f) => f());`;
  // `isFinite` is JavaScript's own in the one, the language's in the other.
  const { isFinite: _, ...own } = SCOPE;
  const written = runRewritten(list(0), "results", own) as unknown[];
  const called = runNative(list(1), "results", SCOPE) as unknown[];
  pairs.forEach(([text, call], i) => {
    expect(isExpression(called[i]), call).toBe(true);
    expect(written[i] === called[i], `${text} is not ${call}`).toBe(true);
  });
}

describe("an operator on an expression is the function of the same meaning", () => {
  const cases: Readonly<Record<string, string>> = {
    "x + y": "add(x, y)",
    "x - 1": "sub(x, 1)",
    "2 * x": "mul(2, x)",
    "x / s": "div(x, s)",
    "x ** 2": "pow(x, 2)",
    "-x": "neg(x)",
    "+x": "x",
    "+(x > y)": "where(gt(x, y), 1, 0)",
    "x < y": "lt(x, y)",
    "x <= 0": "le(x, 0)",
    "0 > x": "gt(0, x)",
    "x >= k": "ge(x, k)",
    "x === y": "eq(x, y)",
    "x !== 1": "ne(x, 1)",
    "x == 0": "eq(x, 0)",
    "x != y": "ne(x, y)",
    "(x > 0) === true": "eq(gt(x, 0), true)",
    "x === x": "eq(x, x)",
    "x > 0 && y > 0": "and(gt(x, 0), gt(y, 0))",
    "x > 0 && true": "and(gt(x, 0), true)",
    "x > 0 || y > 0": "or(gt(x, 0), gt(y, 0))",
    "!(x > 0)": "not(gt(x, 0))",
    "x > 0 ? x : y": "where(gt(x, 0), x, y)",
    "x > 0 ? 1 : false": "where(gt(x, 0), 1, false)",
    "1 ? x : y": "x",
    "0 || x": "x",
    "1 && x > 0 ? 1 : 0": "where(gt(x, 0), 1, 0)",
    "Math.exp(x)": "exp(x)",
    "Math.min(x, y, 1)": "min(min(x, y), 1)",
    "Math.max(x)": "x",
    "Math.pow(x, y)": "pow(x, y)",
    "[x].map(Math.abs)[0]": "abs(x)",
    "isFinite(x)": "isFinite(x)",
    "Number.isFinite(x)": "isFinite(x)",
    "isNaN(x)": "ne(x, x)",
    "Number.isNaN(x)": "ne(x, x)",
    "x ?? y": "x",
  };
  test.each(Object.entries(cases))("%s", (written, called) => expectSame([[written, called]]));

  test("every function of Math that has a row in the table of ops", () => {
    for (const name of ["abs", "exp", "expm1", "floor", "log", "log1p", "sign", "sqrt", "tanh"]) {
      expectSame([[`Math.${name}(x)`, `${name}(x)`]]);
    }
  });

  test("compound assignments", () => {
    const source = `
const box = { at: x, calls: 0, self() { this.calls++; return this; } };
let v = exp(x);
v += y; v -= 1; v *= k; v /= s; v **= 2;
box.self().at *= -y;
let m = x > 0;
m &&= y > 0;
m ||= k > 1;
const results = [v, box.at, box.calls, m];`;
    const { add, and, div, exp, gt, mul, neg, or, pow, sub } = functions;
    const { x, y, s, k } = SCOPE as Record<string, Expr>;
    const [v, at, calls, m] = runRewritten(source, "results", SCOPE) as unknown[];
    expect(v).toBe(pow(div(mul(sub(add(exp(x as Expr), y as Expr), 1), k as Expr), s as Expr), 2));
    expect(at).toBe(mul(x as Expr, neg(y as Expr)));
    expect(calls).toBe(1);
    expect(m).toBe(or(and(gt(x as Expr, 0), gt(y as Expr, 0)), gt(k as Expr, 1)));
  });

  test("is equal to nothing but numbers, truth values and expressions", () => {
    const source = `const results = [x === null, x == null, x !== undefined, x != undefined, x === "x", x == "x", x === results0, x != {}];`;
    expect(runRewritten(source, "results", { ...SCOPE, results0: [] })).toEqual([
      false,
      false,
      true,
      true,
      false,
      false,
      false,
      true,
    ]);
  });

  test("computes both branches, and each of them once", () => {
    const seen: number[] = [];
    const say = (n: number, value: unknown) => {
      seen.push(n);
      return value;
    };
    runRewritten("const r = [x > 0 ? say(1, x) : say(2, y), say(3, x > 0) && say(4, y > 0), x > 0 || say(5, y > 0)];", "r", {
      ...SCOPE,
      say,
    });
    expect(seen).toEqual([1, 2, 3, 4, 5]);
  });
});

/** A random expression in both forms. A number and a mask never stand for each other. */
const forms = fc.letrec<{ number: [string, string]; mask: [string, string] }>((tie) => {
  const pair = (a: string, b: string): [string, string] => [a, b];
  const binary = (
    operators: Readonly<Record<string, string>>,
    left: fc.Arbitrary<[string, string]>,
    right: fc.Arbitrary<[string, string]>,
  ) =>
    fc
      .tuple(left, fc.constantFrom(...Object.entries(operators)), right)
      .map(([a, [sign, name], b]) => pair(`(${a[0]} ${sign} ${b[0]})`, `${name}(${a[1]}, ${b[1]})`));
  const leaf = fc.constantFrom("x", "y", "s", "k").map((name) => pair(name, name));
  const literal = fc.constantFrom("0", "1", "2", "0.5").map((value) => pair(value, value));
  // The result of a ternary or a comparison of plain numbers is plain, not an expression.
  const traced = fc.tuple(leaf, tie("number")).map(([a, b]) => pair(`(${a[0]} - ${b[0]})`, `sub(${a[1]}, ${b[1]})`));
  return {
    number: fc.oneof(
      { maxDepth: 6, depthSize: "large", withCrossShrink: true },
      leaf,
      literal,
      {
        weight: 4,
        arbitrary: binary({ "+": "add", "-": "sub", "*": "mul", "/": "div", "**": "pow" }, tie("number"), tie("number")),
      },
      tie("number").map(([a, b]) => pair(`(-${a})`, `neg(${b})`)),
      tie("number").map(([a, b]) => pair(`(+${a})`, b)),
      fc
        .tuple(tie("mask"), tie("number"), tie("number"))
        .map(([c, a, b]) => pair(`(${c[0]} ? ${a[0]} : ${b[0]})`, `where(${c[1]}, ${a[1]}, ${b[1]})`)),
      fc
        .tuple(fc.constantFrom("exp", "abs", "tanh", "floor", "log1p"), tie("number"))
        .map(([f, [a, b]]) => pair(`Math.${f}(${a})`, `${f}(${b})`)),
      fc
        .tuple(fc.constantFrom("min", "max"), tie("number"), tie("number"))
        .map(([f, a, b]) => pair(`Math.${f}(${a[0]}, ${b[0]})`, `${f}(${a[1]}, ${b[1]})`)),
      fc
        .tuple(tie("number"), tie("number"))
        .map(([a, b]) => pair(`(() => { let v = ${a[0]}; v *= ${b[0]}; return v; })()`, `mul(${a[1]}, ${b[1]})`)),
    ),
    mask: fc.oneof(
      { maxDepth: 4, depthSize: "medium", withCrossShrink: true },
      binary(
        { "<": "lt", "<=": "le", ">": "gt", ">=": "ge", "===": "eq", "!==": "ne", "==": "eq", "!=": "ne" },
        traced,
        tie("number"),
      ),
      traced.map(([a, b]) => pair(`Number.isFinite(${a})`, `isFinite(${b})`)),
      traced.map(([a, b]) => pair(`isNaN(${a})`, `ne(${b}, ${b})`)),
      binary({ "&&": "and", "||": "or" }, tie("mask"), tie("mask")),
      tie("mask").map(([a, b]) => pair(`(!${a})`, `not(${b})`)),
    ),
  };
});

test("random expressions, written with operators and with functions, are the same nodes", () => {
  const whole = fc.oneof(
    fc.tuple(forms.number, fc.constant("x")).map(([[a, b], x]) => [`${x} + ${a}`, `add(${x}, ${b})`] as const),
    forms.mask,
  );
  fc.assert(
    fc.property(fc.array(whole, { minLength: 20, maxLength: 30, size: "max" }), (pairs) => expectSame(pairs)),
    { numRuns: 25 },
  );
});
