/**
 * The passes as `lossc emit --passes` shows them. `golden/ppo.passes.txt` is an example to read; `npx vitest run test/codegen/passes.test.ts -u`
 * renews it.
 */
import { expect, test } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { passesText } from "../../codegen/explain/passes.js";
import { PASSES } from "../../codegen/passes/index.js";
import { ROW_PASSES } from "../../codegen/passes/rows/index.js";
import type { LossDefinition } from "../../dsl/index.js";
import { gspo, ppo } from "../../losses/index.js";

const titles = (text: string) => text.split("\n").flatMap((line) => (line.startsWith("== ") ? [line.slice(3)] : []));

test("the program after each pass, in a form that people read", async () => {
  await expect(passesText(ppo, "bf16")).toMatchFileSnapshot("golden/ppo.passes.txt");
});

test("every pass has a section, those of rows for each sweep", () => {
  const { plan } = compilePlan({ loss: gspo as LossDefinition, logits: "bf16" });
  const sweeps = plan.kernels.filter(({ kind }) => kind === "sweep").map(({ id }) => id);
  expect(sweeps).toHaveLength(2);
  expect(titles(passesText(gspo, "bf16"))).toEqual([
    ...PASSES.map(({ name }) => name),
    ...sweeps.flatMap((id) => ROW_PASSES.map(({ name }) => `${id}: ${name}`)),
  ]);
});

test("names of passes are unique", () => {
  const names = [...PASSES, ...ROW_PASSES].map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});
