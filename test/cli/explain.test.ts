/** `lossc explain`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Explanation } from "../../codegen/explain/index.js";
import { builtins } from "../../losses/index.js";
import { failure, folder, lossc, result } from "./lossc.js";

const MINE = `
import { defineLoss, mean, square } from "lossc";
export const mine = defineLoss({
  name: "mine",
  config: { strength: 0.5 },
  loss: (policy, inputs, config) => config.strength * square(policy.logprobs - mean(policy.logprobs)),
});
`;

describe("lossc explain", () => {
  test("shows a user's loss as formulas, with its kernels and the reasons for them", async () => {
    const root = folder({ "mine.loss.ts": MINE });
    const { code, stdout, stderr } = await lossc(["explain", "mine.loss.ts#mine"], { cwd: root });
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^mine\n═{4}\n {2}strength {2}config, 0\.5\n/);
    expect(stdout).toContain("L = sum over tokens of strength·w·d²");
    expect(stdout).toMatch(/∂L\/∂z\[v\] = .*\(1\[v = y\] − p\[v\]\)/);
    expect(stdout).toContain("What runs: 2 sweeps");
    expect(stdout.replaceAll(/\s+/g, " ")).toContain(
      "the gradient uses mean(ℓ) and mean(w·d), known only when sweep 1 has seen every token of the batch",
    );
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(120);
  });

  test.each(Object.keys(builtins))("%s in the words of formulas, on lines that can be read", async (name) => {
    const { code, stdout } = await lossc(["explain", name]);
    expect(code).toBe(0);
    expect(stdout).not.toMatch(/exp2|exponent|absorb|chain|where\(|fma/);
    for (const line of stdout.split("\n")) expect([...line].length).toBeLessThanOrEqual(130);
  });

  test("gives the same to programs, for the dtype and vocabulary asked for", async () => {
    const { loss, formula, execution, bytes } = await result<Explanation>([
      "explain",
      "ppo",
      "--json",
      "--dtype",
      "f32",
      "--vocab",
      "50",
    ]);
    expect([loss, formula.gradient, execution.sweeps]).toEqual(["ppo", "f·(1[v = y] − p[v])", 1]);
    expect(bytes).toMatchObject({ perEntry: 8, dtype: "f32", vocab: 50, token: 8 * 50 + bytes.perToken });
  });

  test("takes no config values", async () => {
    const root = folder({ "mine.loss.ts": MINE });
    const { code, stdout } = await lossc(["explain", "mine.loss.ts#mine", "--config", "strength=2"], { cwd: root });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^mine\n═{4}\n {2}strength {2}config, 2\n/);
    expect(await failure(["explain", "ppo", "--config", "x=1"])).toMatchObject({ code: "CONFIG_UNKNOWN", exit: 2 });
  });

  test("draws the graph", async () => {
    const root = folder({});
    await lossc(["explain", "dpo", "--svg", "dpo.svg"], { cwd: root });
    const svg = readFileSync(join(root, "dpo.svg"), "utf8");
    expect(svg).toMatch(/<svg .*known in sweep 1.*<\/svg>\s*$/s);
    for (const text of ["known between sweeps 1 and 2", "pick(s, 0)", "∂L/∂z[v]", "reference_logprobs"])
      expect(svg).toContain(text);
  });

  test("draws names with NUL and other control characters as escapes", async () => {
    const text =
      'import { defineLoss, mul } from "lossc";\nexport const a = defineLoss({ name: "a\\0b\\x1b", inputs: { "x\\0": "token" }, loss: (policy, inputs) => mul(policy.logprobs, inputs["x\\0"]) });';
    const root = folder({ "a.js": text });
    const run = await lossc(["explain", "a.js#a", "--svg", "a.svg"], { cwd: root });
    expect([run.stderr, run.code]).toEqual(["", 0]);
    const svg = readFileSync(join(root, "a.svg"), "utf8");
    expect(svg).toContain("a\\u0000b\\u001b");
    expect(svg).toContain("x\\u0000");
  });

  test("answers mistakes as the other commands do", async () => {
    expect(await failure(["explain", "pppo"])).toMatchObject({ code: "LOSS_UNKNOWN", exit: 2 });
    expect(await failure(["explain", "ppo", "--dtype", "f8"])).toMatchObject({ code: "USAGE", exit: 2 });
    expect(await failure(["explain", "ppo", "--svg", "no/such/folder/x.svg"])).toMatchObject({ code: "USAGE", exit: 2 });
  });
});
