/** `npm run fuzz` as a program: what it prints where, and how it ends. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const script = fileURLToPath(new URL("../../scripts/fuzz.mjs", import.meta.url));

function run(...args: string[]) {
  return spawnSync(process.execPath, [script, ...args], { encoding: "utf8" });
}

test("where nothing is found, the summary is on stdout, progress on stderr, and the exit code 0", () => {
  const { status, stdout, stderr } = run("--seconds", "1", "--only", "memory", "--device", "reference", "--seed", "1");
  expect(stdout).toMatch(/^seed 1, on reference\nmemory: [1-9]\d* cases in \d+ s, nothing found\n$/);
  expect(stderr).toMatch(/^memory: \d+ cases, [\d.]+\/s$/m);
  expect(status).toBe(0);
});

test("where something is found, seed, device and the command that repeats it are printed, and the exit code is 1", () => {
  const { status, stdout } = run("--seconds", "1", "--only", "states", "--device", "cuda:9999", "--seed", "7");
  expect(stdout).toContain("FAILED");
  expect(stdout).toContain("LosscError: ");
  expect(stdout).toContain("npm run fuzz -- --only states --device cuda:9999 --seed 7 --seconds 60");
  expect(status).toBe(1);
});

test.each([
  [["--only", "nothing"], /There is no "nothing"; there are calls, shapes, memory, workers, states/],
  [["--device", "gpu"], /There is no "gpu"/],
  [["--seconds", "0"], /whole number ≥ 1/],
  [["--seed", "x"], /whole number ≥ 0/],
])("%j is refused before anything is run", (args, message) => {
  const { status, stdout, stderr } = run(...args);
  expect(stderr).toMatch(message);
  expect(stdout).toBe("");
  expect(status).toBe(1);
});
