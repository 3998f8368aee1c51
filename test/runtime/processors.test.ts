/** The CPU's text for other compilers and processors than those that are here. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { emitText } from "../../codegen/emit/index.js";
import type { LossDefinition } from "../../dsl/index.js";
import { goldenLosses } from "../codegen/golden-losses.js";
import { agrees, completeBatch, expectNear, inputsFor } from "../emulated/batch.js";
import { sampled } from "../sample.js";
import { clang, OTHERS } from "./processors.js";
import { openOnly, temporaryFolder, withEnvironment } from "./support.js";

const DTYPES = ["f32", "bf16", "f16"] as const;
/** Rows that are worked on together and one by one, with an end that fills no packet. */
const VOCABULARIES = [7, 64, 2501];

const CASES = [...DTYPES.map((dtype) => ["ppo", dtype] as const), ["gspo", "bf16"], ["jsd", "f32"]] as const;

describe.each(OTHERS)("$name", ({ name: processor, environment }) => {
  test.each(sampled(`losses for ${processor}`, 2, CASES))("%s of %s agrees with reference", async (name, dtype) => {
    withEnvironment(environment);
    const loss = goldenLosses[name] as LossDefinition;
    const device = await openOnly("cpu");
    for (const vocab of VOCABULARIES) await agrees(device, loss, completeBatch(loss, vocab, dtype));
  });

  test("a token of weight 0 has its logprob all the same", async () => {
    withEnvironment(environment);
    const loss = goldenLosses.ppo as LossDefinition;
    const [device, reference] = [await openOnly("cpu"), await openOnly("reference")];
    for (const vocab of VOCABULARIES) {
      const given = () => inputsFor(loss, { ...completeBatch(loss, vocab, "f32").inputs(), weights: [0, 1, 0.5, 2, 0, 1] });
      const [found, wanted] = await Promise.all(
        [device, reference].map(async (on) => (await on.compile(loss, { dtype: "f32" })).forwardBackward(given())),
      );
      expectNear(found?.logprobs as Float32Array, wanted?.logprobs as Float64Array, 0, `V ${vocab}, logprobs`);
    }
  });
});

test.skipIf(!clang)("clang++ makes the emulated device's kernels", async () => {
  withEnvironment({ CXX: clang as string });
  const loss = goldenLosses.ppo as LossDefinition;
  const device = await openOnly("emulated");
  for (const vocab of [64, 2501]) await agrees(device, loss, completeBatch(loss, vocab, "bf16"));
});

// No header is included, so a compiler needs nothing of the machine that the text is for.
const MACHINES = ["aarch64-linux-gnu", "arm64-apple-macos", "x86_64-apple-macos"];
test.skipIf(!clang).each(sampled("machines", 1, MACHINES))("all losses compile for %s", (machine) => {
  const folder = temporaryFolder();
  const files = DTYPES.flatMap((logits) =>
    Object.entries(goldenLosses).map(([name, loss]) => {
      const file = join(folder, `${name}-${logits}.cpp`);
      writeFileSync(file, emitText(compilePlan({ loss, logits }).plan, { target: "cpu", architecture: "", vocab: 100 }).text);
      return file;
    }),
  );
  execFileSync(clang as string, [`--target=${machine}`, "-std=c++17", "-w", "-fsyntax-only", ...files], { stdio: "pipe" });
});
