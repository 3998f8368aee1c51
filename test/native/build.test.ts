import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { addonPath, scratchFile } from "./support.js";

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

test("a configuration of another place or by another generator is dropped, one's own is kept", async () => {
  const { cmakeRuns } = await import(new URL("../../scripts/addon.mjs", import.meta.url).href);
  const out = scratchFile("build");
  const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
  const [[, , , , , generator]] = cmakeRuns(out);
  const cache = join(out, "CMakeCache.txt");
  const left = (home: string, by: string, folder = out) => {
    const lines = [
      `CMAKE_HOME_DIRECTORY:INTERNAL=${home}`,
      `CMAKE_GENERATOR:INTERNAL=${by}`,
      `CMAKE_CACHEFILE_DIR:INTERNAL=${folder}`,
    ];
    writeFileSync(cache, `${lines.join("\n")}\n`);
    cmakeRuns(out);
    return existsSync(cache);
  };
  expect(left(root, generator)).toBe(true);
  expect(left(`${root}/elsewhere`, generator)).toBe(false);
  expect(left(root, "Some Other Makefiles")).toBe(false);
  expect(left(root, generator, `${out}/elsewhere`)).toBe(false);
});

// An addon with sanitizers has the shared one.
test.skipIf(process.env.LOSSC_ADDON)(
  "the addon asks the machine for no libstdc++, and for nothing of the C library that only libstdc++ wants",
  () => {
    const binary = readFileSync(addonPath, "latin1");
    expect(binary).toContain("libc.so.6");
    for (const name of ["libstdc++.so", "GLIBCXX_", "CXXABI_", "arc4random", "_dl_find_object"])
      expect(binary).not.toContain(name);
  },
);
