import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  // The examples import what a reader would; in tests that must be the sources that everything else here imports.
  resolve: { alias: { lossc: fileURLToPath(new URL("index.ts", import.meta.url)) } },
  test: {
    include: ["test/**/*.test.ts"],
    // Kernels are compiled on the way, on machines that may be busy.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: "forks",
    reporters: ["default", "./test/summary.ts"],
  },
});
