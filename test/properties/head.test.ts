/** Random losses from hidden states and a head, cut into chunks of any size, against what float32 arithmetic allows for all logits at once. */
import fc from "fast-check";
import { afterEach, expect, it, vi } from "vitest";
import type { CompiledLoss } from "../../runtime/devices/device.js";
import { many, SEED } from "../sample.js";
import { casesOf } from "./compare.js";
import { onDevices } from "./devices.js";
import { checkHead, type HeadTally } from "./head.js";
import { type Kind, type Recipe, recipes } from "./recipe.js";

const VOCABS = [1, 7, 15, 16, 17, 70];
const WIDTH = 3;

afterEach(() => vi.unstubAllEnvs());

const PORTIONS: readonly (Kind & { readonly graphs: number })[] = [
  { smooth: false, from: "logits", groups: true, graphs: 9 },
  { smooth: false, from: "logits", groups: true, rows: true, graphs: 6 },
];

onDevices((device) => {
  it.each(PORTIONS)("from hidden states and a head, rows: $rows", { timeout: 600_000 }, async ({ graphs, ...kind }) => {
    vi.stubEnv("LOSSC_CXXFLAGS", "-O0");
    const [drawn] = fc.sample(fc.array(recipes(), { minLength: many(graphs), maxLength: many(graphs) }), {
      seed: SEED,
      numRuns: 1,
    }) as [Recipe[]];
    const { cases, make } = casesOf(drawn, kind, VOCABS);
    const compiled = await make(device());
    const tally: HeadTally = { graphs: 0, tight: 0, loose: 0, calls: 0 };
    for (const [i, one] of cases.entries()) await checkHead(one, compiled[i] as CompiledLoss, tally, WIDTH);
    expect(tally.graphs).toBe(many(graphs));
    expect(tally.tight).toBeGreaterThan(tally.loose);
    // A check that leaves most of what it sees half done would prove little. Nine in ten are done, but of a handful that varies.
    expect(3 * tally.calls).toBeGreaterThan(many(graphs));
  });
});
