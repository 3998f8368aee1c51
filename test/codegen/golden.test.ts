/**
 * Golden kernels: what each loss compiles to, as a reader of a change sees it. `npx vitest run test/codegen/golden.test.ts -u` refreshes the files;
 * read the difference before it is committed.
 */
import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { ENTRIES_MARK, emitText, KERNELS_MARK, preludeText, type TargetName } from "../../codegen/emit/index.js";
import type { Plan } from "../../codegen/loss-plan.js";
import { ppo } from "../../losses/index.js";
import { coreLosses, goldenLosses } from "./golden-losses.js";

const VOCAB = 131072;

function textOf(plan: Plan, target: TargetName = "cuda", vocab = VOCAB): string {
  return emitText(plan, { target, architecture: "sm_90", vocab }).text;
}

/** The kernels alone: what depends on neither target nor geometry. */
function kernelsOf(text: string): string {
  return text.split(KERNELS_MARK)[1]?.split(ENTRIES_MARK)[0] as string;
}

/** The text without its prelude, which is the same for all. */
function ownText(text: string, target: TargetName = "cuda"): string {
  const without = text.replace(preludeText(target), "");
  expect(without.length).toBeLessThan(text.length);
  return without;
}

describe.each(Object.entries(goldenLosses))("%s", (name, loss) => {
  test("the kernels that are written for bf16", async () => {
    const { plan } = compilePlan({ loss, logits: "bf16" });
    await expect(ownText(textOf(plan))).toMatchFileSnapshot(`golden/${name}.cu`);
  });

  test("dtypes differ in the types of the logits and of their gradient, and in nothing else", () => {
    const kernels = (["bf16", "f16", "f32"] as const).map((logits) =>
      kernelsOf(textOf(compilePlan({ loss, logits }).plan))
        .replaceAll(/\w+\* (p\d+;) +(\/\/ (?:gradient of )?logits)$/gm, "T* $1 $2")
        .replaceAll(/; +\/\/ /g, "; // ")
        .replaceAll(/^\/\/ Traffic per token: .*$/gm, ""),
    );
    expect(kernels[1]).toBe(kernels[0]);
    expect(kernels[2]).toBe(kernels[0]);
  });

  test("targets differ in the prelude and the geometry, and in nothing else", () => {
    const { plan } = compilePlan({ loss, logits: "f32" });
    const kernels = (["cuda", "cpu", "emulated"] as const).map((target) => kernelsOf(textOf(plan, target)));
    expect(new Set(kernels).size).toBe(1);
    expect(kernels[0]).not.toMatch(/^\s*#/m);
  });

  test("vocabularies differ in the geometry, and in nothing else", () => {
    const { plan } = compilePlan({ loss, logits: "f32" });
    const texts = [1, 1000, 1025, 20000, 128257, 3000000].map((vocab) => kernelsOf(textOf(plan, "cuda", vocab)));
    expect(new Set(texts).size).toBe(1);
  });
});

test("a plan, as data", async () => {
  const { plan } = compilePlan({ loss: coreLosses.variance, logits: "bf16" });
  expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
  const readable = {
    ...plan,
    kernels: plan.kernels.map(({ body, ...kernel }) => ({ ...kernel, lines: body.split("\n").length })),
  };
  await expect(`${JSON.stringify(readable, null, 2)}\n`).toMatchFileSnapshot("golden/variance.plan.txt");
});

test("from policy_logprobs there are only steps", async () => {
  const { plan } = compilePlan({ loss: ppo, logits: null });
  await expect(ownText(textOf(plan))).toMatchFileSnapshot("golden/ppo.policy_logprobs.cu");
});

test("no golden file is left over", () => {
  const expected = [
    ...Object.keys(goldenLosses).map((name) => `${name}.cu`),
    "ppo.policy_logprobs.cu",
    "ppo.passes.txt",
    "variance.plan.txt",
  ];
  expect(readdirSync(new URL("golden", import.meta.url)).filter((file) => !expected.includes(file))).toEqual([]);
});
