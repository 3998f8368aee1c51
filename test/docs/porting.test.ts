/** docs/porting.md: its losses give what its PyTorch code gave (fixtures/porting.json, made by porting.py), on `reference` and on `cpu`. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { isLossDefinition, type LossDefinition, losses } from "../../index.js";
import { withoutOptimisation } from "../optimisation.js";
import { oracle } from "../runtime/oracle.js";
import { eachDevice } from "../runtime/support.js";
import { blocks, lossBlocks, run } from "./blocks.js";

withoutOptimisation();

interface Fixture {
  readonly batch: Readonly<Record<string, readonly number[]>> & { readonly vocab: number };
  readonly losses: Readonly<
    Record<string, { readonly python: string; readonly loss: number; readonly gradient: readonly number[] }>
  >;
}

const fixture = JSON.parse(readFileSync(new URL("./fixtures/porting.json", import.meta.url), "utf8")) as Fixture;
const page = (file: string) => file.includes("/pages/porting/");
const ported = Object.assign({}, ...lossBlocks.filter(({ file }) => page(file)).map(run)) as Readonly<Record<string, unknown>>;

const { lengths, groups, logits, target_tokens, mask, ...inputs } = fixture.batch as unknown as Readonly<
  Record<string, number[]>
>;

function batchOf(loss: LossDefinition) {
  const declared = Object.fromEntries(Object.keys(loss.inputs).map((name) => [name, inputs[name]]));
  return { lengths: lengths ?? [], groups, logits: Float32Array.from(logits ?? []), target_tokens, weights: mask, ...declared };
}

describe("porting.md", () => {
  test("shows the PyTorch code that made the numbers", () => {
    const python = blocks.filter(({ file, language }) => page(file) && language === "python").slice(1);
    expect(python.length).toBe(10);
    const hashes = python.map(({ code }) => createHash("sha256").update(code).digest("hex"));
    expect(Object.values(fixture.losses).map((made) => made.python)).toEqual(hashes);
  });

  eachDevice(
    (open, device) => {
      test.each(Object.entries(fixture.losses))("%s agrees with PyTorch", async (name, wanted) => {
        const loss = ported[name];
        if (!isLossDefinition(loss)) throw new Error(`porting.md exports no loss ${name}`);
        const result = await (await (await open()).compile(loss)).forwardBackward(batchOf(loss));
        const digits = device === "reference" ? 1e-12 : 2e-6;
        expect(Math.abs(result.loss - wanted.loss)).toBeLessThan(digits * (1 + Math.abs(wanted.loss)));
        const scale = Math.max(...wanted.gradient.map(Math.abs));
        const gradient = Array.from(result.gradLogits as ArrayLike<number>);
        expect(gradient.length).toBe(wanted.gradient.length);
        for (const [i, g] of gradient.entries())
          expect(Math.abs(g - (wanted.gradient[i] as number)), `entry ${i}`).toBeLessThan(digits * (1 + scale));
      });
    },
    ["reference", "cpu"],
  );
});

describe("the habits", () => {
  const { advantages = [], logprobs = [], reference_logprobs = [] } = inputs;

  test("a penalty in the reward is the same from the host and in a loss", async () => {
    const penalised = advantages.map((a, t) =>
      losses.klPenalised(a, logprobs[t] as number, reference_logprobs[t] as number, 0.05),
    );
    for (const [t, x] of penalised.entries())
      expect(x).toBe((advantages[t] as number) - 0.05 * ((logprobs[t] as number) - (reference_logprobs[t] as number)));
    const inside = await oracle(ported.penalised as LossDefinition, batchOf(ported.penalised as LossDefinition));
    const outside = await oracle(losses.importance_sampling, {
      ...batchOf(losses.importance_sampling),
      advantages: Float64Array.from(penalised),
    });
    expect(inside.loss).toBeCloseTo(outside.loss, 6);
  });

  test("weights turn the sum into the mean over sequences of their means", async () => {
    const { sequenceMeanWeights } = Object.assign(
      {},
      ...blocks.filter(({ code }) => code.includes("function sequenceMeanWeights")).map(run),
    ) as { sequenceMeanWeights: (lengths: readonly number[]) => number[] };
    const { defineLoss, neg } = await import("../../index.js");
    const mean = defineLoss({ name: "mean", loss: (policy) => losses.sequenceMean(neg(policy.logprobs)) });
    const weights = sequenceMeanWeights(lengths ?? []);
    const scaled = await oracle(losses.cross_entropy, { ...batchOf(losses.cross_entropy), weights });
    const written = await oracle(mean, { ...batchOf(mean), weights: weights.map(() => 1) });
    expect(scaled.loss).toBeCloseTo(written.loss, 6);
    for (const [i, g] of (scaled.gradLogits as Float64Array).entries())
      expect(g).toBeCloseTo((written.gradLogits as Float64Array)[i] as number, 6);
  });
});
