import { describe, expect, it } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { chipOf, spreadOf } from "../../codegen/emit/geometry.js";
import { emitText, KERNELS_MARK, PRELUDE_MARK, preludeText, stepUnit } from "../../codegen/emit/index.js";
import { rowsAtOnce } from "../../codegen/emit/targets/cpu.js";
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
          `^// lossc, ${target}: the kernels of "ppo", 1 sweep and 0 steps.\n// They read .*logits \\(bf16\\), .*\n// They give .*\n// A token moves 4 bytes per entry of its row and 24 more.\n`,
        ),
      );
      expect(prelude).toBe(`${preludeText(target)}\n`);
      expect(kernels).toMatch(/\/\/ k0: sweep 1 of 1 of "ppo".*\n(\/\/ .*\n)*struct K0 \{/);
      expect(kernels).toMatch(/\nLOSSC_SWEEP\(k0, K0[^)]*\)\n/);
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
      comment: "ones */ \\",
      kernels: [{ id: "k0", body }],
    });
    expect(text).toContain("LOSSC_MAP(k0, K0, 256)");
    expect(text.split("\n")[0]).toMatch(/^\/\/ ones .*[^\\]$/);
    expect(launches).toEqual([{ kernel: "k0", block: 256, perBlock: 256, cluster: 1, shared: 64 }]);
  });

  it("enters a hand-written kernel by the struct of its name", () => {
    const kernels = [{ id: "biasTanh", body: "struct BiasTanh {};" }];
    const { text, launches } = stepUnit({ target: "cpu", comment: "", kernels });
    expect(text).toContain("LOSSC_MAP(biasTanh, BiasTanh)");
    expect(launches[0]?.kernel).toBe("biasTanh");
  });
});

describe("geometry", () => {
  const rows = { bf16: [2], f32: [4], "bf16 and f32": [2, 4], "two of f32": [4, 4], three: [2, 4, 4] };
  const VOCABS = [
    1, 2, 64, 127, 128, 129, 1000, 4088, 4089, 16384, 16385, 32000, 50257, 128256, 128257, 131072, 152064, 262144, 300000,
  ];

  it.each(Object.entries(rows))("of %s fits every chip, and no row is spread over nobody", (_, entryBytes) => {
    for (const architecture of ["sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]) {
      const chip = chipOf(architecture);
      for (const vocab of VOCABS) {
        const { threads, lanes, cluster, shared, room } = spreadOf(architecture, { vocab, entryBytes, values: 4 });
        expect(threads).toBeLessThanOrEqual(room);
        expect(threads % 32).toBe(0);
        expect(threads % lanes).toBe(0);
        expect(lanes <= 32 || lanes === threads).toBe(true);
        expect(cluster).toBeLessThanOrEqual(chip.largestCluster);
        expect(shared).toBeLessThanOrEqual(chip.sharedBytes);
      }
    }
  });

  it("keeps the rows of today's models on the chip: up to 300,000 entries of bf16 on sm_90, in blocks of which several fit a multiprocessor", () => {
    for (const vocab of VOCABS)
      expect(spreadOf("sm_90", { vocab, entryBytes: [2], values: 2 }).resident, String(vocab)).toBe(true);
    for (const vocab of [128256, 128257])
      expect(spreadOf("sm_90", { vocab, entryBytes: [2], values: 2 })).toMatchObject({ threads: 128, lanes: 128, cluster: 8 });
    expect(spreadOf("sm_90", { vocab: 300000, entryBytes: [2], values: 2 }).shared).toBeLessThanOrEqual(100 * 1024);
    // Of the 228 KiB of a multiprocessor a block takes 1 KiB more than it asks for.
    const held = (vocab: number, entryBytes: number[]) => {
      const { threads, shared } = spreadOf("sm_90", { vocab, entryBytes, values: entryBytes.length * 2 });
      return { threads, blocks: Math.floor((228 * 1024) / (shared + 1024)) };
    };
    expect(held(128256, [2])).toEqual({ threads: 128, blocks: 6 });
    expect(held(151936, [2])).toEqual({ threads: 128, blocks: 5 });
    expect(held(262144, [2])).toEqual({ threads: 256, blocks: 3 });
    expect(held(128256, [4])).toEqual({ threads: 256, blocks: 3 });
    expect(held(128256, [2, 4])).toEqual({ threads: 256, blocks: 2 });
    expect(held(262144, [4])).toEqual({ threads: 512, blocks: 1 });
    expect(spreadOf("sm_80", { vocab: 128256, entryBytes: [2], values: 2 }).resident).toBe(false);
  });

  it("gives short rows a warp at most, also where they are two", () => {
    for (const [architecture, entryBytes] of [
      ["sm_80", [2]],
      ["sm_86", [2]],
      ["sm_90", [2]],
      ["sm_80", [2, 4]],
      ["sm_90", [2, 4]],
      ["sm_90", [2, 4, 4]],
    ] as const)
      for (let vocab = 1; vocab <= 190 * 8; vocab += 7) {
        const { lanes } = spreadOf(architecture, { vocab, entryBytes, values: 9 });
        expect(lanes, `${architecture}, ${entryBytes}, V ${vocab}`).toBeLessThanOrEqual(32);
      }
  });

  it("on the CPU is up to 16 rows of up to 4 KiB at once, and stands in the entry point", () => {
    for (const [vocab, entryBytes, rows] of [
      [1, [4], 16],
      [1024, [4], 16],
      [1025, [4], 1],
      [2048, [2], 16],
      [2049, [2], 1],
      [682, [2, 4], 16],
      [683, [2, 4], 1],
    ] as const)
      expect(rowsAtOnce({ vocab, entryBytes, values: 2 }), `${vocab} of ${entryBytes.join(" and ")}`).toBe(rows);
    for (const [vocab, rows] of [
      [2048, 16],
      [2049, 1],
    ] as const) {
      const { text, launches } = emitText(plan, { target: "cpu", architecture: "x86_64", vocab });
      expect(text).toContain(`\nLOSSC_SWEEP(k0, K0, ${rows === 1 ? rows : "kLanes"})\n`);
      // Pieces of a launch are whole sixteens, all but the last.
      expect(launches).toEqual([{ kernel: "k0", block: 1, perBlock: rows, cluster: 1, shared: 0 }]);
    }
  });

  it("is what a launch says", () => {
    for (const vocab of [64, 5000, 131072]) {
      const { launches } = emitText(plan, { target: "emulated", architecture: "x86_64", vocab });
      const { threads, lanes, cluster, shared } = spreadOf("sm_90", { vocab, entryBytes: [2], values: 2 });
      expect(launches).toEqual([{ kernel: "k0", block: threads, perBlock: threads / lanes, cluster, shared }]);
    }
  });
});
