/** Plans are data: whole, serialisable, and sound for every loss. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { emitTogether } from "../../codegen/emit/index.js";
import type { Plan } from "../../codegen/loss-plan.js";
import { trafficOf } from "../../codegen/schedule/traffic.js";
import {
  add,
  atTarget,
  defineLoss,
  type Expr,
  eq,
  type LossDefinition,
  lt,
  mean,
  mul,
  neg,
  softmax,
  std,
  sum,
  variance,
  where,
} from "../../dsl/index.js";
import { cispo, cross_entropy, dro, importance_sampling, ppo } from "../../losses/index.js";
import { casesOf } from "../properties/compare.js";
import { recipes } from "../properties/recipe.js";
import { many, SEED } from "../sample.js";
import { lossOf } from "./graphs.js";

const FIVE = [cross_entropy, importance_sampling, ppo, cispo, dro] as LossDefinition[];

/** Invariants of every plan. */
function sound(plan: Plan): void {
  expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
  expect(plan.buffers.map(({ id }) => id)).toEqual(plan.buffers.map((_, i) => i));
  const stored = new Set<number>();
  const bufferOf = (id: number) => plan.buffers[id] ?? expect.fail(`no buffer ${id}`);
  for (const kernel of plan.kernels) {
    // The struct has one field per argument, and the first is the count of the kernel's own elements.
    const struct = kernel.body.match(/struct Args \{\n([\s\S]*?)\n {2}\};/)?.[1]?.split("\n") ?? [];
    expect(struct.length).toBe(kernel.arguments.length);
    expect(struct.every((line) => /^ {4}(const )?\w+\*? \w+;/.test(line))).toBe(true);
    for (const [i, argument] of kernel.arguments.entries()) {
      if (argument.kind !== "buffer") continue;
      const buffer = bufferOf(argument.buffer);
      const reads = (struct[i] as string).trimStart().startsWith("const ");
      // Nothing is read that nobody wrote.
      if (reads && ["scratch", "result"].includes(buffer.role))
        expect(stored, `${kernel.id} reads ${buffer.name}`).toContain(buffer.id);
      if (buffer.role === "input" || buffer.role === "structure") expect(reads).toBe(true);
    }
    for (const argument of kernel.arguments) if (argument.kind === "buffer") stored.add(argument.buffer);
  }
  const { loss, status, logprobs, gradient, metrics, outputs } = plan.results;
  const results = [
    loss,
    gradient,
    ...(logprobs === null ? [] : [logprobs]),
    ...[...metrics, ...outputs].map(({ buffer }) => buffer),
  ];
  for (const id of results) {
    expect(bufferOf(id).role).toBe("result");
    expect(stored).toContain(id);
  }
  expect(bufferOf(status)).toMatchObject({ role: "result", dtype: "u32", fill: 255 });
  for (const { key, space, buffer } of outputs) expect(bufferOf(buffer).extent, key).toEqual({ per: space });
  for (const { fill, role } of plan.buffers) if (fill !== undefined) expect(["result", "scratch"]).toContain(role);
  expect(plan.bytes).toEqual(
    trafficOf(
      plan.kernels.flatMap((kernel) => kernel.arguments),
      plan.buffers,
    ),
  );
}

describe("plans", () => {
  it("of the built-ins are sound, in every dtype", () => {
    for (const loss of FIVE)
      for (const logits of ["f32", "bf16", "f16", null] as const) sound(compilePlan({ loss, logits }).plan);
  });

  it("of random losses are sound", () => {
    fc.assert(
      fc.property(recipes(), fc.boolean(), fc.boolean(), (recipe, groups, rows) => {
        const { cases } = casesOf([recipe], { smooth: false, from: rows ? "logits" : "policy_logprobs", groups }, [3]);
        for (const { compiled } of cases) sound(compiled.plan);
      }),
      { seed: SEED, numRuns: many(200) },
    );
  });

  it("are the same however often a loss is compiled, and under other numbers of kernels but for these", () => {
    const loss = lossOf(({ policy }) => variance(policy.logprobs));
    const plan = compilePlan({ loss, logits: "f32" }).plan;
    expect(compilePlan({ loss, logits: "f32" }).plan).toEqual(plan);
    const later = compilePlan({ loss, logits: "f32", firstKernel: 40 }).plan;
    expect(later.kernels.map(({ id }) => id)).toEqual(plan.kernels.map((_, i) => `k${40 + i}`));
    expect(JSON.parse(JSON.stringify(later).replace(/\b([kK])4(\d)\b/g, "$1$2"))).toEqual(plan);
    const { text, launches } = emitTogether([plan, later], { target: "cpu", architecture: "", vocab: 10 });
    expect(launches.map(({ kernel }) => kernel)).toEqual([...plan.kernels, ...later.kernels].map(({ id }) => id));
    expect(text.match(/struct K\d+ \{/g)?.length).toBe(launches.length);
  });

  it("read a row once and write its gradient once: bytes of the built-ins", () => {
    const bytes = Object.fromEntries(FIVE.map((loss) => [loss.name, compilePlan({ loss, logits: "bf16" }).plan.bytes]));
    // Beside the row: the target, weights, logprob and summand, and for the others the sampler's logprob and the advantage.
    const local = { perEntry: 4, perToken: 24 };
    expect(bytes).toEqual({
      cross_entropy: { perEntry: 4, perToken: 16 },
      importance_sampling: local,
      ppo: local,
      cispo: local,
      dro: local,
    });
    const coupled = compilePlan({ loss: lossOf(({ policy }) => variance(policy.logprobs)), logits: "bf16" }).plan.bytes;
    expect(coupled.perEntry).toBe(6);
  });

  it("keep one value per element of an output that simplifies to fewer", () => {
    const loss = defineLoss({
      name: "simple",
      inputs: { a: "token", s: "sequence" },
      loss: (policy, { a, s }) => ({
        loss: neg(policy.logprobs),
        outputs: { one: where(eq(a, 0), 1, 1), s: where(eq(a, 0), s, s) },
      }),
    }) as unknown as LossDefinition;
    const { results, buffers } = compilePlan({ loss, logits: null }).plan;
    expect(results.outputs.map(({ space }) => space)).toEqual(["token", "token"]);
    for (const { buffer } of results.outputs) expect(buffers[buffer]?.extent).toEqual({ per: "token" });
  });

  it("hold the runtime scalars' defaults, and none of the constants", () => {
    const loss = defineLoss({
      name: "configured",
      config: { beta: 0.25, mode: "a", power: { value: 2, static: true } },
      loss: (policy, _, config) =>
        mul(mul(config.beta, config.power), config.mode === "a" ? policy.logprobs : neg(policy.logprobs)),
    }) as unknown as LossDefinition;
    const plan = compilePlan({ loss, logits: "f32" }).plan;
    expect(plan.config).toEqual({ beta: 0.25 });
    const other = compilePlan({ loss, logits: "f32", statics: { mode: "b", power: 3 } }).plan;
    expect(other.kernels[0]?.body).not.toBe(plan.kernels[0]?.body);
    expect(other.config).toEqual({ beta: 0.25 });
  });

  it("can be written where the gradient at the target is made of other values than the gradient is", () => {
    const given = (f: (logits: Expr) => Expr) =>
      compilePlan({ loss: lossOf(({ policy }) => f(policy.logits)), logits: "f32" }).plan;
    sound(given((z) => add(sum(atTarget(softmax(z))), std(z))));
    sound(given((z) => softmax(where(lt(atTarget(softmax(z)), z), mul(z, atTarget(z)), softmax(z)))));
  });

  it("do a reduction of inputs before the sweep that needs it, and one that only metrics need within it", () => {
    const before = compilePlan({ loss: lossOf(({ policy, a }) => mul(policy.logprobs, mean(a, "tokens"))), logits: "f32" }).plan;
    expect(before.kernels.map(({ kind }) => kind)).toEqual(["step", "sweep"]);
    const within = compilePlan({
      loss: lossOf(({ policy, a }) => ({ loss: policy.logprobs, metrics: { a: sum(a) } })),
      logits: "f32",
    }).plan;
    expect(within.kernels.map(({ kind }) => kind)).toEqual(["sweep"]);
  });
});
