/** `npm test` takes samples, `npm run test:all` everything, and CI runs both. */
import { spawnSync } from "node:child_process";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test, vi } from "vitest";
import { temporaryFolder } from "../runtime/support.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

afterEach(() => {
  vi.unstubAllEnvs();
  vi.resetModules();
});

/** `test/sample.ts` in another environment. */
async function sampleWith(environment: Readonly<Record<string, string | undefined>>): Promise<typeof import("../sample.js")> {
  vi.resetModules();
  for (const [name, value] of Object.entries({
    LOSSC_TESTS: undefined,
    LOSSC_SEED: undefined,
    LOSSC_GRAPHS: undefined,
    ...environment,
  }))
    vi.stubEnv(name, value);
  return import("../sample.js");
}

describe("a sample", () => {
  const cases = Array.from({ length: 20 }, (_, i) => i);

  test("is so many of the cases, in their order, and the same in every run", async () => {
    const { sampled, many, size } = await sampleWith({});
    const drawn = sampled("losses", 5, cases);
    expect(new Set(drawn).size).toBe(5);
    expect(drawn).toEqual([...drawn].sort((a, b) => a - b));
    expect(sampled("losses", 5, cases)).toEqual(drawn);
    expect(sampled("losses", 30, cases)).toEqual(cases);
    expect([many(2, 7), size(2, 7)]).toEqual([2, 2]);
  });

  test("is another one for another name and for another seed, and draws every case at some time", async () => {
    const { sampled } = await sampleWith({});
    const names = Array.from({ length: 100 }, (_, i) => `name ${i}`);
    const drawn = names.map((name) => sampled(name, 5, cases));
    expect(new Set(drawn.map(String)).size).toBeGreaterThan(90);
    expect(new Set(drawn.flat()).size).toBe(20);
    const other = await sampleWith({ LOSSC_SEED: "7" });
    expect(names.map((name) => other.sampled(name, 5, cases))).not.toEqual(drawn);
  });

  test("is everything with LOSSC_TESTS=all", async () => {
    const { sampled, many, size } = await sampleWith({ LOSSC_TESTS: "all" });
    expect(sampled("losses", 5, cases)).toEqual(cases);
    expect([many(2, 7), size(2, 7)]).toEqual([7, 7]);
  });

  test("has a seed that is a whole number", async () => {
    await expect(sampleWith({ LOSSC_SEED: "often" })).rejects.toThrow('LOSSC_SEED is a whole number or "random", not "often"');
    const { SEED } = await sampleWith({ LOSSC_SEED: "random" });
    expect(Number.isSafeInteger(SEED)).toBe(true);
  });
});

/** The commands that scripts/test.mjs runs, each with what it is told of samples. */
function commandsOf(...args: readonly string[]): string[] {
  const folder = temporaryFolder();
  for (const name of ["npx", "node", "bash"]) {
    const program = join(folder, name);
    writeFileSync(program, `#!/bin/sh\necho "$LOSSC_TESTS: ${name} $*"\n`);
    chmodSync(program, 0o755);
  }
  const env = { ...process.env, PATH: `${folder}:${process.env.PATH}`, LOSSC_TESTS: "" };
  const { stdout, status } = spawnSync(process.execPath, ["scripts/test.mjs", ...args], { cwd: root, env, encoding: "utf8" });
  expect(status).toBe(0);
  return stdout.trimEnd().split("\n");
}

describe("scripts/test.mjs", () => {
  const before = ["npx biome ci --error-on-warnings .", "npx tsc -p tsconfig.json", "node scripts/build.mjs"];

  test("lints, checks types, builds and takes a sample of the tests", () => {
    expect(commandsOf()).toEqual([...before, "npx vitest run"].map((command) => `: ${command}`));
  });

  test("--all has the sanitizers, too, and ends with all tests", () => {
    const all = [...before, "bash scripts/sanitize.sh", "npx vitest run"];
    expect(commandsOf("--all")).toEqual(all.map((command) => `all: ${command}`));
  });

  test("with arguments runs vitest alone", () => {
    expect(commandsOf("test/dsl", "-t", "sum")).toEqual([": npx vitest run test/dsl -t sum"]);
    expect(commandsOf("--all", "test/dsl")).toEqual(["all: npx vitest run test/dsl"]);
  });

  test("runs in CI, a sample first and everything in the end", () => {
    expect(readFileSync(join(root, ".ci/run"), "utf8")).toMatch(/\nnpm test\nnpm run test:all\n$/);
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> };
    expect([scripts.test, scripts["test:all"]]).toEqual(["node scripts/test.mjs", "node scripts/test.mjs --all"]);
  });
});
