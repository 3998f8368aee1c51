import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { constant, constantValue, toExpression } from "../../dsl/expression.js";
import { topological, withOperands } from "../../dsl/graph.js";
import {
  abs,
  add,
  and,
  clamp,
  defineLoss,
  div,
  type Expr,
  Expression,
  exp,
  gt,
  isExpression,
  LosscError,
  type LossDefinition,
  max,
  mul,
  neg,
  not,
  pow,
  sub,
  where,
} from "../../dsl/index.js";
import { config, input, logits, targetLogprob } from "../../dsl/ops/index.js";

const a = input("a", "token") as Expr;
const b = input("b", "token") as Expr;
const s = input("s", "sequence") as Expr;
const node = (x: Expr) => x as unknown as Expression;

describe("nodes", () => {
  it("are interned: equal expressions are the same object", () => {
    expect(add(a, b)).toBe(add(a, b));
    expect(mul(add(a, b), 2)).toBe(mul(add(a, b), 2));
    expect(add(a, b)).not.toBe(add(b, a));
    expect(input("a", "token")).toBe(a);
    expect(input("a", "token", 0)).not.toBe(a);
    expect(input("a", "sequence")).not.toBe(a);
    expect(constant(1)).not.toBe(constant(true));
    expect(constant(0)).not.toBe(constant(-0));
    expect(constant(Number.NaN)).toBe(constant(Number.NaN));
    expect(config("x")).not.toBe(config("x;y"));
    expect(targetLogprob(logits)).toBe(targetLogprob(logits));
  });

  it("distinguish nodes whose joined parts read the same", () => {
    expect(Expression.intern("input", [], "token", "f32", { name: "x", default: null })).not.toBe(
      Expression.intern("input", [], "token", "f32", { name: 'x";default="null', default: null }),
    );
  });

  it("are frozen through and through", () => {
    const x = node(add(a, b));
    for (const part of [x, x.operands, x.attribute]) expect(Object.isFrozen(part)).toBe(true);
    expect(() => {
      (x as { space: string }).space = "batch";
    }).toThrow(TypeError);
  });

  it("have larger ids than their operands, and live in the finest of their spaces", () => {
    const x = node(mul(add(a, s), exp(s)));
    for (const y of topological([x])) for (const operand of y.operands) expect(operand.id).toBeLessThan(y.id);
    expect([x.space, node(exp(s)).space, node(mul(2, config("c") as Expr)).space]).toEqual(["token", "sequence", "batch"]);
  });

  it("fold constants as they meet", () => {
    expect(constantValue(node(add(1, 2)))).toBe(3);
    expect(constantValue(node(div(1, 0)))).toBe(Number.POSITIVE_INFINITY);
    expect(constantValue(node(where(gt(2, 1), -0, 5)))).toBe(-0);
    expect(node(gt(2, 1)).dtype).toBe("bool");
    expect(node(and(true, 0)).dtype).toBe("bool");
    expect(constantValue(node(pow(0, 0)))).toBe(1);
  });

  it("count a truth value as 1 or 0 in arithmetic, and take no number for one", () => {
    expect(add(gt(a, b), 1)).toBe(add(where(gt(a, b), 1, 0), 1));
    expect(node(where(gt(a, 0), gt(b, 0), true)).dtype).toBe("bool");
    expect(node(where(gt(a, 0), gt(b, 0), 2)).dtype).toBe("f32");
    expect(() => not(a)).toThrow(/not\(\) asks whether something is true.*gt\(x, 0\)/);
    expect(() => where(a, 1, 2)).toThrow(expect.objectContaining({ code: "UNSUPPORTED_SYNTAX" }));
  });

  it("are made of numbers and expressions only", () => {
    for (const wrong of [undefined, null, "1", {}, [], 1n, Symbol("x"), () => 1]) {
      expect(() => exp(wrong as never), String(wrong)).toThrow(/exp\(\) takes numbers and expressions/);
    }
    expect(() => exp(undefined as never)).toThrow(/is the name of the input spelt right\?/);
    expect(() => (max as unknown as (x: Expr) => Expr)(a)).toThrow(/max\(\) takes 2 operands; it was given 1/);
    expect(() => (abs as unknown as (...x: Expr[]) => Expr)(a, b)).toThrow(/abs\(\) takes 1 operands; it was given 2/);
    expect(() => (clamp as unknown as (...x: Expr[]) => Expr)(a, b)).toThrow(/clamp\(\) takes 3 operands/);
    expect(isExpression(a)).toBe(true);
    expect(isExpression({ ...node(a) })).toBe(false);
    expect(toExpression(true, "test")).toBe(constant(true));
  });

  it("can be rebuilt with other operands", () => {
    const x = node(sub(a, b));
    expect(withOperands(x, x.operands)).toBe(x);
    expect(withOperands(x, [node(b), node(a)])).toBe(sub(b, a));
    expect(withOperands(x, [constant(3), constant(1)])).toBe(constant(2));
  });

  it("are walked without recursion: a chain of a hundred thousand", () => {
    let x = a;
    for (let i = 0; i < 100_000; i++) x = neg(x);
    expect(topological([node(x)]).length).toBe(100_001);
  });
});

const HERE = fileURLToPath(import.meta.url);
const lineOf = (mark: string) =>
  readFileSync(HERE, "utf8")
    .split("\n")
    .findIndex((line) => line.includes(`// ${mark}`)) + 1;

describe("a native operator that meets an expression", () => {
  const cases: readonly (readonly [string, (x: Expr, y: Expr) => unknown])[] = [
    ["times", (x, y) => x * y], // at times
    ["plus", (x, y) => x + y], // at plus
    ["minus", (x) => -x], // at minus
    [
      "returned minus",
      (x) => {
        return -x; // at returned minus
      },
    ],
    ["difference", (x, y) => x - y], // at difference
    ["power", (x) => x ** 2], // at power
    ["less", (x, y) => x < y], // at less
    ["template", (x) => `${x}`], // at template
    ["Math", (x) => Math.exp(x)], // at Math
    // biome-ignore lint/suspicious/noDoubleEquals: what is tried here
    ["loose equality", (x) => (x as number) == 1], // at loose equality
    ["index", (x) => [1, 2][x]], // at index
  ];

  it.each(cases)("%s is OPERATOR_ON_EXPR with the place and the call to write", (name, operator) => {
    const loss = defineLoss({
      name,
      inputs: { q: "token" },
      loss: (policy, { q }) => operator(policy.logprobs, q) as Expr,
    }) as unknown as LossDefinition;
    let error: unknown;
    try {
      compilePlan({ loss, logits: "f32" });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(LosscError);
    const { code, message, position, frame } = error as LosscError;
    expect(code).toBe("OPERATOR_ON_EXPR");
    expect(position).toMatchObject({ file: HERE, line: lineOf(`at ${name}`) });
    expect(message).toContain(`${HERE}:${position?.line}:${position?.column}`);
    // There is no call to write for a text: it says how to see the numbers.
    expect(message).toMatch(name === "template" || name === "index" ? /return it among outputs|mul\(a, b\)/ : /mul\(/);
    if (name.endsWith("minus")) expect(message).toContain("here: neg(…)");
    if (name === "difference") expect(message).toContain("here: sub(…)");
    // The frame shows the line itself.
    expect(frame).toContain(`// at ${name}`);
    expect(message).toContain(name === "template" || name === "index" ? "template" : "operator");
  });
});
