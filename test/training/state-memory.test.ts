import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { temporaryFolder } from "../runtime/support.js";

const SCRIPT = fileURLToPath(new URL("state-memory.mjs", import.meta.url));
const MB = 1e6;

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, ...args], { encoding: "utf8" });
  expect(status, stderr).toBe(0);
  return { more: Number(stdout), stderr };
}

test.skipIf(process.platform !== "linux")(
  "a state of 240 MB takes less than 100 MB beside its tensors, to save and to load",
  () => {
    const path = join(temporaryFolder(), "state");
    const sizes = [10e6, 50e6];
    const saved = run("save", path, sizes.join());
    expect(statSync(path).size).toBeGreaterThan(240 * MB);
    expect(saved.more).toBeLessThan(100 * MB);
    const loaded = run("load", path);
    expect(JSON.parse(loaded.stderr)).toEqual({
      bytes: 240 * MB,
      values: [
        [0.5, 0.5],
        [1.5, 1.5],
      ],
    });
    expect(loaded.more).toBeLessThan(100 * MB);
  },
);
