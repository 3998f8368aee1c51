// `npm run docs`: makes docs/losses.md and docs/head.md anew from losses/*.loss.ts. The tests that find them stale also write them.
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const { status } = spawnSync("npx", ["vitest", "run", "test/docs/losses.test.ts", "test/docs/head.test.ts", "--update"], {
  cwd: root,
  stdio: "inherit",
});
process.exit(status ?? 1);
