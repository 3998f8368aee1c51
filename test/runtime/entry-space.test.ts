/** One value per vocabulary entry, shared by all rows: class weights, priors, the numbers of entries. */
import { describe, expect, test } from "vitest";
import {
  add,
  amax,
  atTarget,
  count,
  defineLoss,
  div,
  exp,
  index,
  type LossDefinition,
  logSoftmax,
  mean,
  mul,
  neg,
  softmax,
  square,
  sub,
  sum,
} from "../../dsl/index.js";
import { openDevice } from "../../runtime/index.js";
import { agrees, completeBatch, expectNear, gradientOf, inputsFor } from "../emulated/batch.js";
import { numbersFrom } from "../sample.js";
import { eachDevice, expectError } from "./support.js";

/** torch.nn.functional.cross_entropy(logits, target, weight=class_weights, reduction="sum"). */
const weighted = defineLoss({
  name: "weighted cross-entropy",
  inputs: { class_weights: "entry" },
  loss: ({ logprobs }, { class_weights }) => neg(mul(atTarget(class_weights), logprobs)),
});

const LOSSES: Readonly<Record<string, LossDefinition>> = {
  "a prior beside the logits": defineLoss({
    name: "prior",
    inputs: { prior: "entry" },
    loss: ({ logits }, { prior }) => neg(atTarget(logSoftmax(add(logits, mul(0.5, prior))))),
  }) as never,
  "a weighted sum over the row": defineLoss({
    name: "row sum",
    inputs: { class_weights: "entry", advantages: "token", scale: "sequence", share: "group" },
    loss: ({ logits }, { class_weights, advantages, scale, share }) =>
      mul(
        advantages as never,
        sum(
          mul(mul(softmax(logits), mul(class_weights as never, scale as never)), mul(class_weights as never, share as never)),
          "vocab",
        ),
      ),
  }) as never,
  "columns that depend on the policy through a mean": defineLoss({
    name: "live columns",
    inputs: { class_weights: "entry" },
    loss({ logits, logprobs }, { class_weights }) {
      const column = mul(class_weights as never, mean(logprobs));
      return [sum(mul(column, softmax(logits)), "vocab"), mul(0.1, sum(square(column), "vocab")), atTarget(column)];
    },
  }) as never,
  "reductions of a column": defineLoss({
    name: "column reductions",
    inputs: { class_weights: "entry" },
    loss({ logprobs }, { class_weights }) {
      const w = class_weights as never;
      const normal = div(exp(w), sum(exp(w), "vocab"));
      return {
        loss: mul(atTarget(normal), logprobs),
        metrics: { largest: amax(w, "vocab"), mean: mean(w), entries: count(w), share: sum(square(sub(w, mean(w, "vocab")))) },
      };
    },
  }) as never,
  "the expected index": defineLoss({
    name: "expected index",
    inputs: { target_value: "token" },
    loss: ({ logits }, { target_value }) =>
      square(sub(sum(mul(softmax(logits), mul(0.01, index("vocab"))), "vocab"), target_value as never)),
  }) as never,
  "the index of the target, and of all": defineLoss({
    name: "indices",
    loss: ({ logprobs, logits }) => ({
      loss: mul(logprobs, div(atTarget(index("vocab")), amax(index("vocab"), "vocab"))),
      outputs: { target: atTarget(index("vocab")), most: amax(mul(index("vocab"), exp(logits)), "vocab") },
    }),
  }) as never,
};

const VOCABS = [5, 33, 70, 1500];

/** `reference` is the oracle of all devices, and has its gradient from the same program. */
describe.each([["class weights", weighted as never as LossDefinition] as const, ...Object.entries(LOSSES)])(
  "the gradient of %s",
  (_, loss) => {
    test("is the slope of the loss", async () => {
      await using device = await openDevice("reference");
      const compiled = await device.compile(loss);
      const vocab = 4;
      const given = { ...inputsFor(loss, completeBatch(loss, vocab, "f32").inputs()), weights: [1, 0.5, 0, 2, 1, 1] };
      const logits = Float64Array.from({ length: 6 * vocab }, (_, i) => Math.sin(3 * i));
      const at = async (z: Float64Array) => compiled.forwardBackward({ ...given, logits: z } as never);
      const gradient = (await at(logits)).gradLogits as unknown as Float64Array;
      for (let i = 0; i < logits.length; i++) {
        const side = async (h: number) => (await at(logits.map((z, j) => (i === j ? z + h : z)))).loss;
        const slope = ((await side(1e-5)) - (await side(-1e-5))) / 2e-5;
        expect(gradient[i], `entry ${i}`).toBeCloseTo(slope, 7);
      }
    });
  },
);

eachDevice((open) => {
  describe.each(Object.entries(LOSSES))("%s", (_, loss) => {
    test.each(["f32", "bf16"] as const)("%s", async (dtype) => {
      const device = await open();
      if (device.name === "reference" && dtype !== "f32") return;
      for (const vocab of VOCABS) {
        const batch = completeBatch(loss, vocab, dtype);
        await agrees(device, loss, batch);
        const weights = [0, 1, 0.5, 2, 0, 1];
        await agrees(device, loss, { ...batch, inputs: () => ({ ...batch.inputs(), weights }) }, { skipMasked: true });
      }
    });
  });

  test("every entry counts in a reduction of a column, and an index is that of the entry", async () => {
    const device = await open();
    const class_weights = Float32Array.from({ length: 2500 }, (_, v) => Math.sin(v));
    const logits = new Float32Array(2 * 2500);
    logits.fill(Number.NEGATIVE_INFINITY, 10, 2000);
    const given = { lengths: [2], logits, target_tokens: [2400, 3] };
    const columns = await device.compile(LOSSES["reductions of a column"] as LossDefinition);
    const { metrics } = await columns.forwardBackward({ ...given, class_weights } as never);
    const total = class_weights.reduce((a, b) => a + b, 0);
    const squares = class_weights.reduce((a, b) => a + (b - total / 2500) ** 2, 0);
    expectNear([metrics.largest as number, metrics.entries as number], [Math.max(...class_weights), 2500], 0, "metrics");
    expectNear([metrics.mean as number, metrics.share as number], [total / 2500, squares], 1e-4, "metrics");
    const indices = await device.compile(LOSSES["the index of the target, and of all"] as LossDefinition);
    const { outputs } = await indices.forwardBackward({ ...given, weights: [0, 1] } as never);
    expect([...(outputs.target as Float32Array)]).toEqual([2400, 3]);
    expect([...(outputs.most as Float32Array)]).toEqual([2499, 2499]);
    const skipped = await indices.forwardBackward({ ...given, weights: [0, 1] } as never, {}, { skipMasked: true });
    expect([...(skipped.outputs.target as Float32Array)]).toEqual([0, 3]);
  });

  test("class weights would weigh the wrong entry: torch's cross_entropy with `weight` and reduction sum", async () => {
    const device = await open();
    const compiled = await device.compile(weighted);
    for (const vocab of [1, 5, 33, 1500]) {
      const random = numbersFrom(vocab);
      const lengths = [3, 0, 18];
      const tokens = 21;
      const logits = Float32Array.from({ length: tokens * vocab }, () => random() * 8 - 4);
      const target_tokens = Int32Array.from({ length: tokens }, () => Math.floor(random() * vocab));
      const class_weights = Float32Array.from({ length: vocab }, () => random() * 2);
      const result = await compiled.forwardBackward({ lengths, logits, target_tokens, class_weights });
      let loss = 0;
      const gradient = new Float64Array(tokens * vocab);
      for (let t = 0; t < tokens; t++) {
        const row = Float64Array.from(logits.subarray(t * vocab, (t + 1) * vocab));
        const target = target_tokens[t] as number;
        const w = class_weights[target] as number;
        const total = row.reduce((all, z) => all + Math.exp(z), 0);
        loss -= w * ((row[target] as number) - Math.log(total));
        row.forEach((z, v) => {
          gradient[t * vocab + v] = w * (Math.exp(z) / total - (v === target ? 1 : 0));
        });
      }
      expectNear([result.loss], [loss], 0, "loss");
      expectNear(gradientOf(result.gradLogits as never, "f32"), gradient, 0, "gradient");
    }
  });

  test("hidden states and a head give what their logits give", async () => {
    const device = await open();
    const [width, vocab, tokens] = [3, 7, 6];
    const random = numbersFrom(3);
    const hidden = Float32Array.from({ length: tokens * width }, () => random() - 0.5);
    const head = Float32Array.from({ length: vocab * width }, () => random() - 0.5);
    const logits = Float32Array.from({ length: tokens * vocab }, (_, i) => {
      const [t, v] = [Math.floor(i / vocab), i % vocab];
      return [0, 1, 2].reduce((all, h) => all + (hidden[t * width + h] as number) * (head[v * width + h] as number), 0);
    });
    const target_tokens = Int32Array.from({ length: tokens }, (_, t) => t % vocab);
    for (const loss of [weighted as never as LossDefinition, ...Object.values(LOSSES)]) {
      const given = { ...inputsFor(loss, completeBatch(loss, vocab, "f32").inputs()), target_tokens } as Record<string, unknown>;
      const compiled = await device.compile(loss, { dtype: "f32" });
      const { logits: _, ...others } = given;
      const wanted = await compiled.forwardBackward({ ...given, logits } as never);
      const got = await compiled.forwardBackward(
        { ...others, hidden, head, vocab } as never,
        {},
        { maxBytes: 2 * 4 * (vocab + width) },
      );
      expectNear([got.loss], [wanted.loss], 0, loss.name);
    }
  });

  test("as many class weights as entries, no more and no less; a default stands where none are given", async () => {
    const device = await open();
    const compiled = await device.compile(weighted);
    const batch = { lengths: [2], logits: new Float32Array(6), target_tokens: [0, 2] };
    await expectError("INPUT_LENGTH", () => compiled.forwardBackward({ ...batch, class_weights: [1, 2] }), "class_weights", "3");
    await expectError("INPUT_MISSING", () => compiled.forwardBackward(batch as never), "class_weights");
    const without = { lengths: [2], policy_logprobs: [-1, -2], target_tokens: [0, 2], class_weights: [1, 2, 3] };
    await expectError("INPUT_MISSING", () => compiled.forwardBackward(without), "class_weights", "logits");
    const defaulted = await device.compile(
      defineLoss({
        name: "defaulted",
        inputs: { class_weights: { space: "entry", default: 2 } },
        loss: ({ logprobs }, { class_weights }) => neg(mul(atTarget(class_weights), logprobs)),
      }),
    );
    expect((await defaulted.forwardBackward(batch)).loss).toBeCloseTo(4 * Math.log(3), 5);
    expect((await defaulted.forwardBackward({ ...batch, class_weights: [1, 0, 3] })).loss).toBeCloseTo(4 * Math.log(3), 5);
  });
});
