import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import lossc from "./runtime/vite.js";
import { SEED } from "./test/sample.js";

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  plugins: [lossc()],
  // The examples import what a reader would; in tests that must be the sources that everything else here imports.
  resolve: { alias: { "lossc/operators": source("dsl/operators.ts"), lossc: source("index.ts") } },
  test: {
    include: ["test/**/*.test.ts"],
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
