import { describe, expect, it } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { emitText, KERNELS_MARK, PRELUDE_MARK, preludeText, stepUnit } from "../../codegen/emit.js";
import { geometryFor } from "../../codegen/geometry.js";
import type { LossDefinition } from "../../dsl/index.js";
import { ppo } from "../../losses/index.js";

const plan = compilePlan({ loss: ppo as LossDefinition, logits: "bf16" }).plan;

describe("a unit", () => {
  it.each(["cuda", "cpu", "emulated"] as const)(
    "for %s has a header, the prelude between its marks, and the kernels with their entries",
    (target) => {
      const { text } = emitText(plan, { target, architecture: "sm_90", vocab: 50000 });
      const [head, prelude, kernels] = text.split(new RegExp(`${PRELUDE_MARK}\n|${KERNELS_MARK}\n`)) as [string, string, string];
      expect(head).toMatch(
        new RegExp(
          `^// lossc, ${target}: the loss "ppo" and its gradient.\n// bf16 logits in; .* in 1 sweep and 0 steps.\n// A token moves 4 bytes per vocabulary entry, 24 bytes beside.\n`,
        ),
      );
      expect(prelude).toBe(`${preludeText(target)}\n`);
      expect(kernels).toMatch(/^using logit = bf16;\n/);
      expect(kernels).toMatch(/\/\/ k0: sweep 1 of 1 of "ppo".*\n(\/\/ .*\n)*struct K0 \{/);
      expect(kernels).toMatch(/\nLOSSC_SWEEP\(k0, K0\)\n/);
    },
  );

  it("includes no header of CUDA's", () => {
    expect(emitText(plan, { target: "cuda", architecture: "sm_90", vocab: 1 }).text).not.toContain("#include");
  });

  it("of hand-written kernels is held to the same shape", () => {
    const body =
      "struct K0 {\n  struct Args { float* x; index n; };\n  LOSSC_FN static void element(const Args& a, index i) { store(a.x, i, 1.0f); }\n};";
    const { text, launches } = stepUnit({
      target: "emulated",
      architecture: "sm_90",
      comment: "ones */ \\",
      kernels: [{ id: "k0", body }],
    });
    expect(text).toContain("LOSSC_MAP(k0, K0)");
    expect(text.split("\n")[0]).toMatch(/^\/\/ ones .*[^\\]$/);
    expect(launches).toEqual([{ kernel: "k0", block: 256, perBlock: 256, cluster: 1, shared: 0 }]);
  });
});

describe("geometry", () => {
  it("follows from target and vocabulary alone", () => {
    expect(geometryFor("cpu", 7)).toEqual(geometryFor("cpu", 1e6));
    for (const target of ["cuda", "emulated"] as const) {
      for (const vocab of [1, 1024, 1025, 16384, 16385, 262144]) {
        const { team, block, step } = geometryFor(target, vocab);
        expect([block % team, team % 32, step % 32]).toEqual([0, 0, 0]);
        expect(geometryFor("cuda", vocab)).toEqual(geometryFor("emulated", vocab));
      }
      expect(geometryFor(target, 1024)).not.toEqual(geometryFor(target, 1025));
    }
  });

  it("gives blocks that hold whole teams", () => {
    for (const vocab of [64, 5000, 131072]) {
      const { launches } = emitText(plan, { target: "emulated", architecture: "sm_90", vocab });
      const { team, block } = geometryFor("emulated", vocab);
      expect(launches).toEqual([{ kernel: "k0", block, perBlock: block / team, cluster: 1, shared: 0 }]);
    }
  });
});
