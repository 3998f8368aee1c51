// `npm run docs`: makes every file anew that is generated from code: docs/losses.md, docs/head.md, native/core/constants.h. The tests that find them
// stale also write them.
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const { status } = spawnSync(
  "npx",
  ["vitest", "run", "test/docs/losses.test.ts", "test/docs/head.test.ts", "test/native/constants.test.ts", "--update"],
  {
    cwd: root,
    stdio: "inherit",
  },
);
process.exit(status ?? 1);
