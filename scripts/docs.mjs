// `npm run docs`: makes docs/losses.md anew from losses/*.loss.ts. The test that finds it stale also writes it.
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const { status } = spawnSync("npx", ["vitest", "run", "test/docs/losses.test.ts", "--update"], { cwd: root, stdio: "inherit" });
process.exit(status ?? 1);
