/** What the row loops of sm_90 are made of, where there is a disassembler: `nvdisasm` in PATH or named by `$LOSSC_NVDISASM`. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { emitText } from "../../codegen/emit.js";
import type { LossDefinition } from "../../dsl/index.js";
import { findNvcc } from "../../runtime/compilers/index.js";
import { goldenLosses } from "./golden-losses.js";

const nvcc = await findNvcc();
const nvdisasm = process.env.LOSSC_NVDISASM ?? "nvdisasm";
const absent = nvcc === null || spawnSync(nvdisasm, ["--version"]).status !== 0;
const folder = mkdtempSync(join(tmpdir(), "lossc-machine-code-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The instructions of a loss's kernels, without their operands. */
function instructionsOf(name: string, vocab: number): string[] {
  const { plan } = compilePlan({ loss: goldenLosses[name] as LossDefinition, logits: "bf16" });
  const [source, cubin] = [join(folder, `${name}.cu`), join(folder, `${name}.cubin`)];
  writeFileSync(source, emitText(plan, { target: "cuda", architecture: "sm_90", vocab }).text);
  execFileSync(nvcc as string, ["-arch=sm_90", "-std=c++17", "-fmad=false", "-w", "-cubin", "-o", cubin, source]);
  const text = execFileSync(nvdisasm, ["-c", cubin], { encoding: "utf8", maxBuffer: 1 << 28 });
  return Array.from(
    text.matchAll(/^\s+\/\*[0-9a-f]+\*\/\s+(?:@!?U?P\w+ )?([A-Z][\w.]*)/gm),
    ([, instruction]) => instruction as string,
  );
}

describe.skipIf(absent)(`machine code${absent ? " (nvcc or nvdisasm is absent)" : ""}`, () => {
  test.each(["cross_entropy", "ppo", "gspo", "variance", "forward_kl"])(
    "%s reads and writes its rows by 16 bytes and keeps nothing in local memory",
    (name) => {
      const found = instructionsOf(name, 128256);
      const some = (pattern: RegExp) => found.filter((instruction) => pattern.test(instruction));
      expect(found.length).toBeGreaterThan(100);
      expect(some(/^(LDL|STL)/)).toEqual([]);
      expect(some(/^LDGSTS\..*128$/).length, "asynchronous copies into shared memory").toBeGreaterThan(0);
      expect(some(/^LDS\.128$/).length, "reads from shared memory").toBeGreaterThan(0);
      expect(some(/^STG\..*128$/).length, "stores of the gradient").toBeGreaterThan(0);
      expect(some(/^UCGABAR_WAIT$/).length, "barriers of the cluster").toBeGreaterThan(0);
    },
  );
});
