import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import lossc from "./runtime/vite.js";
import { SEED } from "./test/sample.js";
import LongFirst from "./test/sequencer.js";

/**
 * Files that share a process, one after another: they leave nothing behind, neither in the environment nor in what the addon holds, and modules are
 * loaded once for all of them. Every other file has a process of its own.
 */
const TOGETHER = ["test/{docs,dsl,errors,operators}/**/*.test.ts", "test/codegen/!(cuda-*|deep|long|machine-code).test.ts"];

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  plugins: [lossc()],
  // The examples import what a reader would; in tests that must be the sources that everything else here imports.
  resolve: { alias: { "lossc/operators": source("dsl/operators.ts"), lossc: source("index.ts") } },
  test: {
    projects: [
      { extends: true, test: { name: "together", include: TOGETHER, isolate: false } },
      { extends: true, test: { name: "alone", include: ["test/**/*.test.ts"], exclude: TOGETHER } },
    ],
    sequence: { sequencer: LongFirst },
    globalSetup: "./test/setup.ts",
    // A seed that was drawn is the same in all workers.
    env: { LOSSC_SEED: `${SEED}` },
    // Kernels are compiled on the way, on machines that may be busy.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: "forks",
    // By default one core is left free: of two, half.
    maxWorkers: "100%",
    reporters: ["default", "./test/summary.ts"],
  },
});
