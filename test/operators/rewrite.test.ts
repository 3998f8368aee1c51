/** One rule after the other: the text of a file, and what it becomes. */
import { describe, expect, test } from "vitest";
import { isLossFile, rewriteLoss } from "../../codegen/operators/index.js";
import { rewrittenText } from "./support.js";

/** Each expression and its rewritten form. */
function rules(name: string, cases: Readonly<Record<string, string>>): void {
  describe(name, () => {
    test.each(Object.entries(cases))("%s", (source, wanted) => {
      expect(rewrittenText(`${source};`)).toBe(`${wanted};`);
    });
  });
}

rules("every operator is a call of its helper", {
  "a + b": "$.add(a, b)",
  "a - b": "$.sub(a, b)",
  "a * b": "$.mul(a, b)",
  "a / b": "$.div(a, b)",
  "a ** b": "$.pow(a, b)",
  "a < b": "$.lt(a, b)",
  "a <= b": "$.le(a, b)",
  "a > b": "$.gt(a, b)",
  "a >= b": "$.ge(a, b)",
  "a === b": "$.eq(a, b)",
  "a !== b": "$.ne(a, b)",
  "a == b": "$.looseEq(a, b)",
  "a != b": "$.looseNe(a, b)",
  "-a": "$.neg(a)",
  "+a": "$.plus(a)",
  "!a": "$.not(a)",
});

rules("precedence is kept, and parentheses only where they are needed", {
  "a + b * c ** d": "$.add(a, $.mul(b, $.pow(c, d)))",
  "(a + b) * c": "$.mul($.add(a, b), c)",
  "a - b - c": "$.sub($.sub(a, b), c)",
  "a ** b ** c": "$.pow(a, $.pow(b, c))",
  "f((a, b) + c)": "f($.add((a, b), c))",
  "(a + b).toFixed(2)": "$.add(a, b).toFixed(2)",
  "new (a || B)()": "new ($.or(a, () => B))()",
  "[...(a + b)]": "[...$.add(a, b)]",
  "(a + b) % c": "$.add(a, b) % c",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text
  "`${a + b}`": "`${$.add(a, b)}`",
});

rules("callbacks that are asked whether something is true, or which comes first, are under guard", {
  "xs.filter((x) => x > 0)": 'xs.filter($.tested(xs, "filter", (x) => $.gt(x, 0)))',
  "this.some(f, g)": 'this.some($.tested(this, "some", f), g)',
  "xs?.every(f)": 'xs?.every($.tested(xs, "every", f))',
  "a.b?.find(f)": 'a.b?.find($.tested(void 0, "find", f))',
  "a?.b.findIndex(f).c": 'a?.b.findIndex($.tested(void 0, "findIndex", f)).c',
  "xs.some(isFinite)": 'xs.some($.tested(xs, "some", $.isFinite))',
  "xs.sort()": "xs.sort()",
  "xs.filter(...f)": "xs.filter(...f)",
  "xs.map(f)": "xs.map(f)",
  "filter(f)": "filter(f)",
  "Boolean(a)": "$.boolean(a)",
});

rules("branches are computed when they are asked for", {
  "a && b": "$.and(a, () => b)",
  "a || b && c": "$.or(a, () => $.and(b, () => c))",
  "a ? b : c": "$.where(a, () => b, () => c)",
  "a ? { b } : (c, d)": "$.where(a, () => ({ b }), () => (c, d))",
});

rules("a branch with an effect keeps JavaScript's own construct, its condition checked", {
  "a ? (b = 1) : c": '$.plain(a, "? :") ? (b = 1) : c',
  "a ? b++ : c": '$.plain(a, "? :") ? b++ : c',
  "a ? b : delete c.d": '$.plain(a, "? :") ? b : delete c.d',
  "a && (b += 1)": '$.plain(a, "&&") && (b = $.add(b, 1))',
  "a || --b": '$.plain(a, "||") || --b',
  "a > b && c.forEach((x) => { t += x; })": '$.plain($.gt(a, b), "&&") && c.forEach((x) => { t = $.add(t, x); })',
  "a ? await b : c": '$.plain(a, "? :") ? await b : c',
});

rules("a function inside of a branch may have variables of its own, and wait", {
  "a && c.map((x) => { let t = 0; t++; return t; })": "$.and(a, () => c.map((x) => { let t = 0; t++; return t; }))",
  "a && (async () => await b)": "$.and(a, () => async () => await b)",
});

rules("an assignment computes the parts of its target once", {
  "a += b": "a = $.add(a, b)",
  "a -= b * c": "a = $.sub(a, $.mul(b, c))",
  "a.b **= c": "a.b = $.pow(a.b, c)",
  "a[i] /= c": "a[i] = $.div(a[i], c)",
  "this.a *= b": "this.a = $.mul(this.a, b)",
  "f().a += b": "var _a;\n(_a = f()).a = $.add(_a.a, b)",
  "a[f()] += b": "var _a, _b;\n(_a = a)[_b = f()] = $.add(_a[_b], b)",
  "a.b.c += d": "var _a;\n(_a = a.b).c = $.add(_a.c, d)",
  "(a as number) += b": "a = $.add(a, b)",
  "a ||= b": "$.or(a, () => b, value_1 => a = value_1)",
  "a.b &&= c + d": "$.and(a.b, () => $.add(c, d), value_1 => a.b = value_1)",
  "a ||= () => 1": '$.plain(a, "||=") || (a = () => 1)',
  "f().a &&= (b = c)": 'var _a;\n$.plain((_a = f()).a, "&&=") && (_a.a = (b = c))',
});

rules("what asks for a truth value and cannot be computed element by element is checked", {
  "if (a > b) c(); else d()": 'if ($.plain($.gt(a, b), "if"))\n    c();\nelse\n    d()',
  "while (a) b()": 'while ($.plain(a, "while"))\n    b()',
  "do b(); while (a)": 'do\n    b();\nwhile ($.plain(a, "do"))',
  "for (;a < b;) c()": 'for (; $.plain($.lt(a, b), "for");)\n    c()',
  "for (;;) c()": "for (;;)\n    c()",
  "while (true) c()": "while (true)\n    c()",
});
test("switch and its cases are checked", () => {
  expect(rewrittenText("switch (a) { case 1: b(); case c: d(); default: e(); }")).toBe(
    'switch ($.plain(a, "switch")) {\n    case 1: b();\n    case $.plain(c, "case"): d();\n    default: e();\n}',
  );
});

rules("some operators stay native", {
  "a ?? b + c": "a ?? $.add(b, c)",
  "a?.b + c": "$.add(a?.b, c)",
  "typeof a + b": "$.add(typeof a, b)",
  "a % b": "a % b",
  "a & b | c ^ ~d": "a & b | c ^ ~d",
  "a << b >> c >>> d": "a << b >> c >>> d",
  "a++ + --b": "$.add(a++, --b)",
  "a %= b": "a %= b",
  "a ??= b + c": "a ??= $.add(b, c)",
  "a in b": "a in b",
  "a instanceof b": "a instanceof b",
});

rules("literals meet no expression", {
  "f(-1, 2 / 3, -(2 ** 0.5), 1 < 2, 'a' + 'b', !0)": "f(-1, 2 / 3, -(2 ** 0.5), 1 < 2, 'a' + 'b', !0)",
  "a + 2 * 3": "$.add(a, 2 * 3)",
});

rules("functions of Math that have a row in the table of ops, and the predicates", {
  "Math.exp(a)": "$.math.exp(a)",
  'Math["log1p"](a)': "$.math.log1p(a)",
  "Math.max(a, b, ...c)": "$.math.max(a, b, ...c)",
  "a.map(Math.abs)": "a.map($.math.abs)",
  "Math.sin(a) * Math.PI": "$.mul(Math.sin(a), Math.PI)",
  "isFinite(a)": "$.isFinite(a)",
  "isNaN(a)": "$.isNaN(a)",
  "Number.isFinite(a)": "$.numberIsFinite(a)",
  "Number.isNaN(a)": "$.numberIsNaN(a)",
  "a.map(isFinite)": "a.map($.isFinite)",
  "Number.isInteger(a)": "Number.isInteger(a)",
  "a.isFinite(b)": "a.isFinite(b)",
  "f?.(isFinite(a))": "f?.($.isFinite(a))",
});

describe("names that the file declares itself are the file's", () => {
  test.each([
    'import { isFinite } from "lossc"; isFinite(a);',
    'import Math from "maths"; Math.exp(a);',
    'import * as Math from "maths"; Math.exp(a);',
    "const Math = maths; Math.exp(a);",
    "function f(Math) { return Math.exp(a); }",
    "const f = ({ Math }) => Math.exp(a);",
    "function f() { if (true) var isNaN = g; return isNaN(a); }",
    "{ class Number { } Number.isNaN(a); }",
    "try { } catch (Math) { Math.exp(a); }",
    "for (const Math of all) Math.exp(a);",
    "const f = function Math() { return Math.exp(a); };",
  ])("%s", (source) => {
    expect(rewrittenText(source)).not.toContain("$.");
  });

  test("but only where they are declared", () => {
    expect(rewrittenText("{ const Math = maths; } Math.exp(a);")).toContain("$.math.exp(a)");
    expect(rewrittenText("function f(Number) { } Number.isNaN(a);")).toContain("$.numberIsNaN(a)");
    expect(rewrittenText('import type { Math } from "maths"; Math.exp(a);')).toContain("$.math.exp(a)");
  });
});

describe("what is no operator of the program stays", () => {
  test("types, enums and declarations", () => {
    const source = `
enum Flag { A = 1 << 2, B = A + 1 }
type T<X> = X extends -1 ? 1 : 2;
interface I { a?: -1 }
export const x: T<-1> = f<T<-2>>(y as -1 | 1);`;
    expect(rewrittenText(source)).not.toContain("$.");
  });

  test("what a class extends is an expression", () => {
    expect(rewrittenText("class A extends (a || B) { }")).toBe("class A extends $.or(a, () => B) {\n}");
  });
});

describe("a rewritten file", () => {
  test("imports the helpers under an unused name, from the module that the option names", () => {
    const { code } = rewriteLoss("const lossc = a + b, __lossc = 1;", "/a.loss.ts", { operators: "../dsl/operators.js" });
    expect(code).toContain('import * as ___lossc from "../dsl/operators.js";');
    expect(code).toContain("const lossc = ___lossc.add(a, b)");
  });

  test("is not rewritten again", () => {
    const once = rewriteLoss("a + b;", "/a.loss.ts").code;
    expect(rewriteLoss(once, "/a.loss.js")).toEqual({ code: once, map: null });
  });

  test("is known by its name", () => {
    for (const name of ["a.loss.ts", "/b/a.loss.mts", "a.b.loss.js", "a.loss.mjs"]) expect(isLossFile(name)).toBe(true);
    for (const name of ["loss.ts", "a.ts", "z-loss.ts", "a.loss.json", "a.loss.ts.txt", "a.loss.cjs"])
      expect(isLossFile(name)).toBe(false);
  });

  test("loses its types, and the imports that only types use", () => {
    expect(rewrittenText('import { type Expr, exp } from "lossc";\nexport const f = (x: Expr): Expr => exp(x!);')).toBe(
      'import { exp } from "lossc";\nexport const f = (x) => exp(x);',
    );
  });
});

test("a syntax error is reported with its position", () => {
  expect(() => rewriteLoss("const a = 1;\nconst b = a +;\n", "/a.loss.ts")).toThrow(
    expect.objectContaining({ code: "UNSUPPORTED_SYNTAX", position: { file: "/a.loss.ts", line: 2, column: 14 } }),
  );
});
