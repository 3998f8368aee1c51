// `npm run docs`: makes every file anew that is generated from code: docs/losses.md, docs/head.md, native/core/constants.h, and
// common/constants.h and cpu/functions.h of codegen/preludes. The tests that find them stale also write them.
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const tests = [
  "test/docs/losses.test.ts",
  "test/docs/head.test.ts",
  "test/native/constants.test.ts",
  "test/codegen/preludes.test.ts",
];
const { status } = spawnSync("npx", ["vitest", "run", ...tests, "--update"], {
  cwd: root,
  stdio: "inherit",
});
process.exit(status ?? 1);
