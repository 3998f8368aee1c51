/** The formulas of `lossc explain` are equal in value to what the compiler runs, and read as people write. */
import { describe, expect, test } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { tidied } from "../../codegen/explain/formula.js";
import { explainLoss } from "../../codegen/explain/index.js";
import { together } from "../../codegen/explain/rows.js";
import { explanationText } from "../../codegen/explain/text.js";
import { spellingOut, withOutputs } from "../../codegen/loss-program.js";
import type { ElementSpace } from "../../codegen/schedule/plan.js";
import * as lossc from "../../dsl/index.js";
import { defineLoss, type LossDefinition, type Policy } from "../../dsl/index.js";
import type { Space } from "../../dsl/spaces.js";
import { trace } from "../../dsl/trace.js";
import { builtins } from "../../losses/index.js";
import { randomBatch } from "../../runtime/cli/check-inputs.js";
import { evaluateReference } from "../../runtime/reference.js";

const {
  add,
  amax,
  amin,
  and,
  div,
  exp,
  isFinite,
  logSoftmax,
  logsumexp,
  mean,
  mul,
  neg,
  softmax,
  std,
  stopGradient,
  sub,
  sum,
  variance,
  where,
  gt,
  pow,
} = lossc;

const OWN: readonly LossDefinition[] = [
  defineLoss({ name: "variance", loss: (policy) => variance(policy.logprobs) }),
  defineLoss({ name: "std per sequence", loss: (policy) => std(policy.logprobs, "tokens", { unbiased: false }) }),
  defineLoss({ name: "entropy by its maximum", loss: (policy) => div(policy.entropy, amax(policy.entropy)) }),
  defineLoss({
    name: "logsumexp of logprobs",
    loss: (policy) => sub(logsumexp(policy.logprobs, "tokens"), amin(policy.logprobs, "tokens")),
  }),
  defineLoss({
    name: "score function",
    inputs: { reward: "sequence" },
    config: { epsilon: 1e-6 },
    loss(policy, inputs, config) {
      const spread = add(std(inputs.reward, "sequences"), config.epsilon);
      return neg(mul(div(sub(inputs.reward, mean(inputs.reward, "sequences")), spread), mean(policy.logprobs, "tokens")));
    },
  }),
  defineLoss({
    name: "branches",
    inputs: { a: "token" },
    loss: (policy, inputs) =>
      where(gt(inputs.a, 0), mul(policy.logprobs, inputs.a), mul(stopGradient(exp(policy.logprobs)), pow(policy.logprobs, 3))),
  }),
  defineLoss({
    name: "entries",
    inputs: { prior: "entry", reward: "sequence" },
    loss: (policy, { prior, reward }) => [
      mul(reward, sum(mul(mul(prior, lossc.index("vocab")), lossc.softmax(policy.logits)), "vocab")),
      mul(lossc.atTarget(prior), mul(policy.logprobs, sum(exp(prior), "vocab"))),
    ],
  }),
  defineLoss({ name: "row statistics", loss: (policy) => add(variance(policy.logits, "vocab"), amax(policy.logits, "vocab")) }),
  defineLoss({
    name: "several terms",
    loss: (policy) => [neg(policy.logprobs), mul(0.01, variance(policy.logprobs)), sum(policy.entropy, "tokens")],
  }),
] as readonly unknown[] as LossDefinition[];

const ALL = [...Object.values(builtins), ...OWN].map((loss) => [loss.name, loss] as const);

/** Values of tidy expressions and of what they stand for, on random inputs in which every token counts. */
function values(loss: LossDefinition) {
  const { program } = compilePlan({ loss, logits: "f32" });
  const traced = trace(loss, { from: "logits", statics: {} });
  const { terms, rows } = tidied(loss, traced, program);
  const written = new Map([["gradient", together(rows)], ...terms.map((x, i) => [`term ${i}`, x] as const)]);
  const spellOut = spellingOut();
  const spaces = new Map<string, Space>([
    ["gradient", "vocab"],
    ...traced.terms.map(({ space }, i) => [`term ${i}`, space] as const),
  ]);
  const outputs = new Map([...written].map(([key, x]) => [key, { space: spaces.get(key) as ElementSpace, x: spellOut(x) }]));
  const batch = randomBatch(loss, 5);
  const result = evaluateReference(withOutputs(program, outputs), {
    ...batch,
    logits: Float64Array.from(batch.logits),
    targetTokens: Int32Array.from(batch.target_tokens),
    policyLogprobs: null,
    inputs: Object.fromEntries(
      Object.entries(batch.inputs).map(([name, data]) => [
        name,
        Float64Array.from(typeof data === "number" ? [data] : data).map((x) => (name === "weights" ? x || 0.75 : x)),
      ]),
    ),
    config: Object.fromEntries(Object.entries(loss.config).map(([name, { value }]) => [name, value as number])),
    skipMasked: false,
  });
  const { gradient, ...losses } = result.outputs;
  const total = Object.values(losses).reduce((all, list) => all + list.reduce((a, b) => a + b, 0), 0);
  return { result, gradient: gradient as Float64Array, total };
}

describe("formulas", () => {
  test.each(ALL)("of %s have the value of what is run", (_name, loss) => {
    const { result, gradient, total } = values(loss);
    expect(total).toBeCloseTo(result.loss, 9);
    const greatest = Math.max(...result.gradient.map(Math.abs));
    result.gradient.forEach((wanted, i) => {
      expect(Math.abs((gradient[i] as number) - wanted)).toBeLessThanOrEqual(1e-12 + 1e-10 * greatest);
    });
  });

  test.each(ALL)("of %s: sweeps and reasons agree, and every name is explained", (_name, loss) => {
    const { execution, formula } = explainLoss(loss, { dtype: "bf16", vocab: 1000 });
    expect(execution.why.filter((reason) => reason.startsWith("sweep "))).toHaveLength(
      execution.sweeps === 1 ? 0 : execution.sweeps,
    );
    for (const reason of execution.why) expect(reason).not.toMatch(/uses ,|undefined/);
    const all = [...formula.loss, formula.gradient, ...formula.definitions.map(({ text }) => text)].join("\n");
    expect(all).not.toMatch(/undefined|null|reduce|NaN|·1\b(?!\[)/);
    expect(new Set(formula.definitions.map(({ name }) => name)).size).toBe(formula.definitions.length);
  });
});

test("an input in entry space is said to be per vocabulary entry", () => {
  const loss = OWN.find(({ name }) => name === "entries") as LossDefinition;
  expect(explanationText(explainLoss(loss, { dtype: "bf16", vocab: 1000 }))).toMatch(/prior +input, per vocabulary entry/);
});

describe("explainLoss", () => {
  const formula = (name: string) => {
    const { loss, gradient, definitions } = explainLoss(builtins[name] as LossDefinition, { dtype: "bf16", vocab: 1000 }).formula;
    return { loss, gradient, definitions: Object.fromEntries(definitions.map((x) => [x.name, x.text])) };
  };

  test("writes a count of a mask as the sum or the mean that it is, not as a count of all", () => {
    const text = (body: (scores: lossc.Expr) => lossc.Expr) =>
      explainLoss(
        lossc.defineLoss({
          name: "counts",
          inputs: { scores: "token" },
          loss: ({ logprobs }, { scores }) => lossc.mul(logprobs, body(scores)),
        }) as never,
        { dtype: "bf16", vocab: 1000 },
      ).formula.loss.join();
    expect(text((x) => lossc.count(lossc.gt(x, 0), "tokens"))).toContain("sum(scores > 0, tokens)");
    expect(text((x) => lossc.div(lossc.count(lossc.gt(x, 0)), lossc.count(x)))).toContain("mean(scores > 0)");
  });

  test("writes ppo as its paper does", () => {
    expect(formula("ppo")).toEqual({
      loss: ["sum over tokens of −w·min(advantages·r, advantages·c)"],
      gradient: "f·(1[v = y] − p[v])",
      definitions: {
        r: "exp(ℓ − logprobs)",
        c: "clamp(r, clip_low_threshold, clip_high_threshold)",
        f: "−w·advantages·r·([advantages·c ≤ advantages·r]·[clip_low_threshold ≤ r ≤ clip_high_threshold] + [advantages·r ≤ advantages·c])",
      },
    });
  });

  test("finds 1[v = y] − p[v], p[v]·(log p[v] + H) and the difference of two rows", () => {
    expect(formula("cross_entropy").gradient).toBe("−w·(1[v = y] − p[v])");
    expect(formula("ppo_entropy").gradient).toMatch(/^f·\(1\[v = y\] − p\[v\]\) \+ .*·p\[v\]·\(log p\[v\] \+ H\)$/);
    expect(formula("forward_kl")).toMatchObject({
      gradient: "f·(softmax(z / temperature)[v] − q[v])",
      definitions: { f: "w / temperature" },
    });
  });

  test("says what each kernel folds, and which fold needs which", () => {
    const { kernels } = explainLoss(builtins.ppo_entropy as LossDefinition, { dtype: "bf16", vocab: 1000 }).execution;
    expect(kernels[0]).toMatchObject({ kind: "sweep", sweep: 1, gradient: true, bytes: { perEntry: 4 } });
    expect(kernels[0]?.phases.map((phase) => phase.map(({ needs }) => needs))).toEqual([[[]], expect.arrayContaining([["m"]])]);
  });

  test.each([0, 1])("finds the sum of p·(log p + %s) in the phases of log p alone", (c) => {
    const kl = ({ logits }: Policy) => sum(mul(softmax(logits), add(logSoftmax(logits), c)), "vocab");
    const { kernels } = explainLoss(defineLoss({ name: "kl", loss: kl }), { dtype: "bf16", vocab: 1000 }).execution;
    expect(kernels[0]?.phases).toHaveLength(2);
  });

  test("names what forces the second sweep, and what needs none", () => {
    const why = (loss: LossDefinition) => explainLoss(loss, { dtype: "bf16", vocab: 1000 }).execution.why;
    expect(why(OWN[0] as LossDefinition)[1]).toBe(
      "sweep 2: the gradient uses mean(ℓ), known only when sweep 1 has seen every token of the batch",
    );
    expect(why(OWN[4] as LossDefinition)).toEqual([
      expect.stringMatching(/^every factor/),
      expect.stringMatching(/^known before any row is read, because only inputs are in it: .*reward/),
    ]);
  });

  test("counts the bytes of every row that is read", () => {
    const { bytes } = explainLoss(builtins.forward_kl as LossDefinition, { dtype: "bf16", vocab: 1000 });
    expect(bytes.perEntry).toBe(2 + 4 + 2); // logits, the teacher's in float32, the gradient
    expect(bytes.token).toBe(8 * 1000 + bytes.perToken);
  });

  test("long shared expressions have a name, and are written out where the name is defined", () => {
    const terms = Array.from({ length: 60 }, (_, i) => i + 0.25);
    const long = defineLoss({
      name: "long",
      inputs: { a: "token" },
      loss(policy, { a }) {
        const y = terms.reduce<lossc.Expr>((all, by) => add(all, lossc.tanh(mul(by, a))), a);
        return add(neg(exp(mul(policy.logprobs, y))), lossc.tanh(y));
      },
    });
    const { loss, definitions } = explainLoss(long as unknown as LossDefinition, { dtype: "bf16", vocab: 1000 }).formula;
    const [{ name, text }] = definitions as [(typeof definitions)[number]];
    expect(loss.join("")).toContain(`tanh(${name})`);
    expect(text).toContain("tanh(59.25·a)");
    expect(loss.join("") + text).not.toContain("…");
  });

  test("a test that is no comparison is written as a function", () => {
    const loss = defineLoss({
      name: "finite",
      loss: (policy) => where(and(isFinite(policy.logprobs), gt(policy.entropy, 1)), neg(policy.logprobs), 0),
    });
    const text = explanationText(explainLoss(loss, { dtype: "f32", vocab: 10 }));
    expect(text).toContain("isFinite(ℓ) and ");
  });

  test("names of inputs never mean two things", () => {
    const loss = defineLoss({
      name: "names",
      inputs: { p: "token", r: "token", w: "token" },
      loss: (policy, inputs) => {
        const ratio = exp(sub(policy.logprobs, inputs.p));
        return mul(mul(ratio, ratio), mul(inputs.w, exp(neg(mul(ratio, inputs.r)))));
      },
    }) as unknown as LossDefinition;
    const text = explanationText(explainLoss(loss, { dtype: "f32", vocab: 10 }));
    expect(text).toContain("exp(ℓ − inputs.p)");
    expect(text).toContain("inputs.w");
    expect(text).not.toMatch(/^\s+r = /m);
  });
});
