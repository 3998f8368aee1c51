import { describe, expect, it } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { constantValue } from "../../dsl/expression.js";
import {
  add,
  defineLoss,
  type Expr,
  eq,
  isLossDefinition,
  LosscError,
  type LossDefinition,
  mean,
  mul,
  neg,
  sum,
  variance,
} from "../../dsl/index.js";
import { trace } from "../../dsl/trace.js";

const loss = (policy: { logprobs: Expr }) => neg(policy.logprobs);
// biome-ignore lint/suspicious/noExplicitAny: what a JavaScript author may write
const declare = (declaration: any) => () => defineLoss(declaration);
const traced = (f: (...args: never[]) => unknown, from: "logits" | "policy_logprobs" = "logits", more: object = {}) =>
  trace(defineLoss({ name: "traced", ...more, loss: f as never }) as unknown as LossDefinition, { from, statics: {} });

describe("a declaration", () => {
  it("is normalised and frozen", () => {
    const made = defineLoss({
      name: "x",
      inputs: { a: "token", s: { space: "sequence", dtype: "bf16", default: 2 }, weights: "token" },
      config: { beta: 0.1, mode: "fast", on: true, steps: { value: 3, static: true } },
      loss,
    });
    expect(made.inputs).toEqual({
      a: { space: "token", dtype: "f32" },
      s: { space: "sequence", dtype: "bf16", default: 2 },
      weights: { space: "token", dtype: "f32", default: 1 },
    });
    expect(made.config).toEqual({
      beta: { kind: "scalar", value: 0.1 },
      mode: { kind: "static", value: "fast" },
      on: { kind: "static", value: true },
      steps: { kind: "static", value: 3 },
    });
    for (const part of [made, made.inputs, made.config, made.inputs.a]) expect(Object.isFrozen(part)).toBe(true);
    expect(isLossDefinition(made)).toBe(true);
    expect(isLossDefinition({ ...made })).toBe(false);
    expect(isLossDefinition(null)).toBe(false);
  });

  it("may leave inputs and config out", () => {
    expect(defineLoss({ name: "x", loss })).toMatchObject({ inputs: {}, config: {} });
  });

  it.each([
    ["no name", { loss }, "CONFIG_INVALID", /wants a name/],
    ["an empty name", { name: "", loss }, "CONFIG_INVALID", /wants a name/],
    ["no function", { name: "x" }, "CONFIG_INVALID", /"x" has no function/],
    ["an unknown key", { name: "x", loss, input: {} }, "CONFIG_UNKNOWN", /no "input"; did you mean "inputs"\?/],
    [
      "an unknown space",
      { name: "x", loss, inputs: { a: "tokens" } },
      "SPACE_MISMATCH",
      /"a" is declared in "tokens"; did you mean "token"\?/,
    ],
    [
      "a space that cannot be turned into text",
      { name: "x", loss, inputs: { a: { space: Object.create(null) } } },
      "SPACE_MISMATCH",
      /"a" is declared in an object; the spaces are/,
    ],
    [
      "a dtype that cannot be turned into text",
      { name: "x", loss, inputs: { a: { space: "token", dtype: Object.create(null) } } },
      "INPUT_DTYPE",
      /"a" is declared as an object; the dtypes are/,
    ],
    [
      "weights with a default that cannot be turned into text",
      { name: "x", loss, inputs: { weights: { space: "token", default: Object.create(null) } } },
      "CONFIG_INVALID",
      /not an object/,
    ],
    [
      "an unknown dtype",
      { name: "x", loss, inputs: { a: { space: "token", dtype: "f64" } } },
      "INPUT_DTYPE",
      /"a".*"f64".*f32, bf16, f16/,
    ],
    ["a name of lossc's own", { name: "x", loss, inputs: { logits: "token" } }, "INPUT_UNKNOWN", /cannot be called "logits"/],
    [
      "targets, which come with every call",
      { name: "x", loss, inputs: { target_tokens: "token" } },
      "INPUT_UNKNOWN",
      /"target_tokens" come with every call and are not declared/,
    ],
    [
      "weights that are not 1 where none are given",
      { name: "x", loss, inputs: { weights: { space: "token", default: 0.5 } } },
      "CONFIG_INVALID",
      /"weights" are 1/,
    ],
    [
      "a misspelt key of an input",
      { name: "x", loss, inputs: { a: { space: "token", defualt: 1 } } },
      "INPUT_UNKNOWN",
      /"a" is declared with "defualt"; did you mean "default"\?/,
    ],
    ["config that is half a constant", { name: "x", loss, config: { beta: { value: 3 } } }, "CONFIG_INVALID", /static: true/],
    ["nothing at all", null, "CONFIG_INVALID", /wants an object/],
    [
      "weights per sequence",
      { name: "x", loss, inputs: { weights: "sequence" } },
      "SPACE_MISMATCH",
      /"weights" lives in token space/,
    ],
    [
      "a default that is no number",
      { name: "x", loss, inputs: { a: { space: "token", default: Number.NaN } } },
      "CONFIG_INVALID",
      /default of the input "a"/,
    ],
    [
      "config that is not finite",
      { name: "x", loss, config: { beta: Number.POSITIVE_INFINITY } },
      "CONFIG_INVALID",
      /config "beta"/,
    ],
    ["config of another type", { name: "x", loss, config: { beta: [1] } }, "CONFIG_INVALID", /config "beta"/],
    ["config that is null", { name: "x", loss, config: { beta: null } }, "CONFIG_INVALID", /config "beta"/],
    ["an input that is null", { name: "x", loss, inputs: { a: null } }, "SPACE_MISMATCH", /"a"/],
  ])("with %s says what is wrong and where", (_, declaration, code, message) => {
    expect(declare(declaration)).toThrow(message);
    expect(declare(declaration)).toThrow(
      expect.objectContaining({
        code,
        position: expect.objectContaining({ file: expect.stringContaining("define-loss.test.ts") }),
      }),
    );
    expect(declare(declaration)).toThrow(LosscError);
  });

  it.each(["hidden", "head", "hidden_size", "lengths", "groups", "vocab", "policy_logprobs"])(
    "with an input called %s says so",
    (name) => {
      expect(declare({ name: "x", loss, inputs: { [name]: "token" } })).toThrow(`cannot be called "${name}"`);
    },
  );
});

describe("a copy of a definition", () => {
  const base = defineLoss({
    name: "base",
    inputs: { a: { space: "sequence", dtype: "bf16", default: 2 }, b: "token" },
    config: { beta: 0.1, kind: "x", times: { value: 2, static: true } },
    loss: (policy) => policy.logprobs,
  });

  it("is declared like the original, with what it overrides", () => {
    const derived = defineLoss({ ...base, name: "derived", config: { ...base.config, beta: 0.5 } });
    expect({ ...derived }).toEqual({
      ...base,
      name: "derived",
      config: { ...base.config, beta: { kind: "scalar", value: 0.5 } },
    });
    expect(isLossDefinition(derived)).toBe(true);
    expect(isLossDefinition({ ...base, name: "derived" })).toBe(false);
  });

  it.each([
    { kind: "scalar", value: "text" },
    { kind: "scalar", value: Number.NaN },
    { kind: "static", value: [1] },
    { kind: "neither", value: 1 },
    { kind: "scalar", value: 1, static: true },
  ])("with the config %o says what is wrong", (beta) => {
    const declare = () => defineLoss({ ...base, config: { beta } as never });
    expect(declare).toThrow(expect.objectContaining({ code: "CONFIG_INVALID", message: expect.stringContaining('"beta"') }));
  });
});

describe("tracing", () => {
  it.each([
    [
      "an input that is not declared",
      (_: never, inputs: { logprob: Expr }) => inputs.logprob,
      "INPUT_UNKNOWN",
      /"logprob".*did you mean "logprobs"\?/,
    ],
    [
      "config that is not declared",
      (_p: never, _i: never, config: { Beta: Expr }) => config.Beta,
      "CONFIG_UNKNOWN",
      /"Beta".*did you mean "beta"\?/,
    ],
    ["nothing returned", () => undefined, "UNSUPPORTED_SYNTAX", /returned no loss: is a return missing\?/],
    ["a record without a loss", () => ({ metrics: {} }), "UNSUPPORTED_SYNTAX", /returned no loss/],
    ["an unknown part", () => ({ loss: 1, metric: {} }), "UNSUPPORTED_SYNTAX", /returned "metric"; did you mean "metrics"\?/],
    [
      "a hole in a list",
      (p: { logprobs: Expr }) => Object.assign(new Array(3), { 0: p.logprobs, 2: p.logprobs }),
      "UNSUPPORTED_SYNTAX",
      /undefined as its loss\[1\]/,
    ],
    ["a list of holes", () => ({ loss: new Array(2) }), "UNSUPPORTED_SYNTAX", /undefined as its loss\[0\]/],
    [
      "undefined in a list",
      (p: { logprobs: Expr }) => [p.logprobs, undefined],
      "UNSUPPORTED_SYNTAX",
      /undefined as its loss\[1\]/,
    ],
    ["null in a list", () => ({ loss: [null, 1] }), "UNSUPPORTED_SYNTAX", /null as its loss\[0\]: give it a value/],
    ["a text in a list", () => [1, "2"], "UNSUPPORTED_SYNTAX", /a string as its loss\[1\]/],
    [
      "a metric without a value",
      () => ({ loss: 1, metrics: { x: undefined } }),
      "UNSUPPORTED_SYNTAX",
      /undefined as its metrics\.x/,
    ],
    ["an output of null", () => ({ loss: 1, outputs: { x: null } }), "UNSUPPORTED_SYNTAX", /null as its outputs\.x/],
    ["metrics in a Map", () => ({ loss: 1, metrics: new Map([["x", 1]]) }), "UNSUPPORTED_SYNTAX", /metrics, which are named/],
    ["metrics in a list", () => ({ loss: 1, metrics: [1, 2] }), "UNSUPPORTED_SYNTAX", /metrics, which are named/],
    ["a list of none", () => [], "UNSUPPORTED_SYNTAX", /a list of no losses/],
    ["a metric of lossc's own", () => ({ loss: 0, metrics: { "loss:sum": 1 } }), "USAGE", /metric "loss:sum".*another name/],
    [
      "an output of lossc's own",
      (policy: { logprobs: Expr }) => ({ loss: 0, outputs: { logprobs: policy.logprobs } }),
      "USAGE",
      /output "logprobs".*another name/,
    ],
    [
      "an option that a reduction does not have",
      () => variance(1, undefined, { ddof: 1 } as never),
      "UNSUPPORTED_SYNTAX",
      /variance\(\) has no option "ddof".*unbiased/,
    ],
    [
      "an option of a reduction that is no object",
      () => variance(1, undefined, false as never),
      "UNSUPPORTED_SYNTAX",
      /variance\(\).*unbiased, true or false/,
    ],
    [
      "a word for true",
      () => variance(1, undefined, { unbiased: "no" } as never),
      "UNSUPPORTED_SYNTAX",
      /variance\(\).*unbiased, true or false/,
    ],
    ["a text for a loss", () => "loss", "UNSUPPORTED_SYNTAX", /takes numbers and expressions/],
    [
      "a truth value for a loss",
      (policy: { logprobs: Expr }) => eq(policy.logprobs, 0),
      "UNSUPPORTED_SYNTAX",
      /is true or false, not a number: write where\(x, 1, 0\)/,
    ],
    [
      "a metric per token",
      (policy: { logprobs: Expr }) => ({ loss: 0, metrics: { m: policy.logprobs } }),
      "SPACE_MISMATCH",
      /metric "m".*token space.*mean\(x\) or sum\(x\)/,
    ],
    [
      "an output that is one number",
      (policy: { logprobs: Expr }) => ({ loss: 0, outputs: { o: mean(policy.logprobs) } }),
      "SPACE_MISMATCH",
      /output "o".*batch space/,
    ],
    [
      "a function that throws what cannot be turned into text",
      () => {
        throw Object.create(null);
      },
      "UNSUPPORTED_SYNTAX",
      /"traced" threw while it was traced: \{\}/,
    ],
    ["a function that throws", () => JSON.parse("{"), "UNSUPPORTED_SYNTAX", /"traced" threw while it was traced: SyntaxError/],
  ] as const)("%s is explained", (_, f, code, message) => {
    const call = () => traced(f as never, "logits", { inputs: { logprobs: "token" }, config: { beta: 1 } });
    expect(call).toThrow(message);
    expect(call).toThrow(expect.objectContaining({ code }));
  });

  it("gives metrics and outputs under their names, and each term of a list", () => {
    const { terms, metrics, outputs } = traced((policy: { logprobs: Expr }) => ({
      loss: [policy.logprobs, sum(policy.logprobs), 3],
      metrics: { "reward/mean": mean(policy.logprobs) },
      outputs: { twice: mul(2, policy.logprobs) },
    }));
    expect(terms.map(({ space }) => space)).toEqual(["token", "batch", "batch"]);
    expect([...metrics.keys(), ...outputs.keys()]).toEqual(["reward/mean", "twice"]);
    expect(traced((policy: { logprobs: Expr }) => [policy.logprobs, 1]).terms.length).toBe(2);
  });

  it("runs the loss as it is written: closures, loops and helpers work", () => {
    const powers = (x: Expr) => [1, 2, 3].map((n) => mul(n, x)).reduce((x, y) => add(x, y));
    const plain = traced((policy: { logprobs: Expr }) =>
      add(add(mul(1, policy.logprobs), mul(2, policy.logprobs)), mul(3, policy.logprobs)),
    );
    expect(traced((policy: { logprobs: Expr }) => powers(policy.logprobs)).terms).toEqual(plain.terms);
  });

  it("asks a function for its metric, and names the metric that it does not give", () => {
    const loss = () => ({ loss: 1, metrics: { sure: 1, toString: () => undefined } }) as never;
    const made = defineLoss({ name: "traced", loss });
    const metrics = (...wanted: string[]) => [...trace(made, { from: "logits", statics: {}, metrics: wanted }).metrics.keys()];
    expect(metrics("sure")).toEqual(["sure"]);
    expect(() => metrics("toString")).toThrow(/undefined as its metrics\.toString/);
  });

  it("knows no rows where the caller brings logprobs", () => {
    expect(() => traced((policy: { logsumexp: Expr }) => policy.logsumexp, "policy_logprobs")).toThrow(
      expect.objectContaining({ code: "INPUT_MISSING" }),
    );
  });

  it("specialises by static config, and takes its overrides", () => {
    const made = defineLoss({
      name: "static",
      config: { mode: "neg", times: { value: 2, static: true } },
      loss: (policy, _, config) => (config.mode === "neg" ? neg(policy.logprobs) : mul(config.times, policy.logprobs)),
    }) as unknown as LossDefinition;
    const [first] = trace(made, { from: "logits", statics: {} }).terms;
    const [second] = trace(made, { from: "logits", statics: { mode: "mul" } }).terms;
    const [third] = trace(made, { from: "logits", statics: { mode: "mul", times: 3 } }).terms;
    expect(first?.op).toBe("neg");
    expect(second?.op === "mul" && constantValue(second.operands[0])).toBe(2);
    expect(third?.op === "mul" && constantValue(third.operands[0])).toBe(3);
  });

  it("of equal losses gives the same plan", () => {
    const one = defineLoss({ name: "x", loss }) as unknown as LossDefinition;
    const two = defineLoss({ name: "x", loss: (policy) => neg(policy.logprobs) }) as unknown as LossDefinition;
    expect(compilePlan({ loss: two, logits: "f32" }).plan).toEqual(compilePlan({ loss: one, logits: "f32" }).plan);
  });
});
