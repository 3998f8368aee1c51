import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { scratchFile } from "./support.js";

test("without cmake and a compiler, building says in one line what is missing and how to add it, and is no failure", () => {
  const path = scratchFile("bin");
  mkdirSync(path);
  symlinkSync(process.execPath, join(path, "node"));
  const script = fileURLToPath(new URL("../../scripts/build.mjs", import.meta.url));
  const result = spawnSync(process.execPath, [script, "--addon"], { encoding: "utf8", env: { PATH: path } });
  expect(result.stderr).toMatch(
    /^lossc: the native addon was not built.*\(apt-get install cmake make g\+\+\).*"reference"[^\n]*\n$/,
  );
  expect(result.stdout).toBe("");
  expect(result.status).toBe(0);
});
