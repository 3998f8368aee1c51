/** Random losses from hidden states and a head, cut into chunks of any size, against what float32 arithmetic allows for all logits at once. */
import fc from "fast-check";
import { afterEach, expect, it, vi } from "vitest";
import type { CompiledLoss, LossInputs } from "../../runtime/devices/device.js";
import { evaluateReference } from "../../runtime/reference.js";
import { type Batch, randomNumbers } from "./batch.js";
import { type Bounded, FLOAT32 } from "./bounds.js";
import { boundsOf, type Case, casesOf, hold, numbersOf, type Tally, describe as textOf } from "./compare.js";
import { onDevices } from "./devices.js";
import { type Kind, type Recipe, recipes } from "./recipe.js";
import { many, SEED } from "./settings.js";

const VOCABS = [1, 7, 15, 16, 17, 70];
const WIDTH = 3;

/** What takes the place of the logits. */
interface Factors {
  readonly hidden: Float32Array;
  readonly head: Float32Array;
}

/** Halves, so that a logit is the same number in whatever order its products are summed. A hidden state of a token of weight 0 may hold anything. */
function factorsOf({ input }: Batch, vocab: number, random: () => number): Factors {
  const halves = (length: number) => Float32Array.from({ length }, () => (Math.floor(random() * 7) - 3) / 2);
  const tokens = input.targetTokens?.length ?? 0;
  const hidden = halves(tokens * WIDTH);
  const { weights } = input.inputs;
  for (let t = 0; t < tokens; t++)
    if (weights?.[t] === 0 && random() < 0.5)
      hidden[t * WIDTH + Math.floor(random() * WIDTH)] = [Number.NaN, Number.POSITIVE_INFINITY][t % 2] as number;
  return { hidden, head: halves(vocab * WIDTH) };
}

function logitsOf({ hidden, head }: Factors): Float64Array {
  const vocab = head.length / WIDTH;
  return Float64Array.from({ length: (hidden.length / WIDTH) * vocab }, (_, i) => {
    const [t, v] = [Math.floor(i / vocab), i % vocab];
    let sum = 0;
    for (let h = 0; h < WIDTH; h++) sum += (hidden[t * WIDTH + h] as number) * (head[v * WIDTH + h] as number);
    return sum;
  });
}

/** The gradients of hidden states and of the head, one after the other, from that of the logits. What is exactly 0 adds nothing. */
function gradientOf({ hidden, head }: Factors, { value, error }: Bounded): Bounded {
  const vocab = head.length / WIDTH;
  const [sum, off, size] = [0, 1, 2].map(() => new Float64Array(hidden.length + head.length)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const add = (to: number, i: number, by: number) => {
    const [g, e] = [value[i] as number, error[i] as number];
    if (g === 0 && e === 0) return;
    sum[to] = (sum[to] as number) + g * by;
    off[to] = (off[to] as number) + e * Math.abs(by);
    size[to] = (size[to] as number) + Math.abs(g * by);
  };
  value.forEach((_, i) => {
    const [t, v] = [Math.floor(i / vocab), i % vocab];
    for (let h = 0; h < WIDTH; h++) {
      add(t * WIDTH + h, i, head[v * WIDTH + h] as number);
      add(hidden.length + v * WIDTH + h, i, hidden[t * WIDTH + h] as number);
    }
  });
  // Float32 sums in any order; and sums in which float32 may already be infinite.
  const rounding = (vocab + hidden.length / WIDTH + 2) * 2 ** -24;
  return {
    value: sum,
    error: off.map((e, i) => ((size[i] as number) > 1e37 ? Number.POSITIVE_INFINITY : e + rounding * (size[i] as number))),
  };
}

interface HeadTally extends Tally {
  /** Checked to the end. */
  told: number;
}

async function check(one: Case, compiled: CompiledLoss, tally: HeadTally): Promise<void> {
  const random = randomNumbers(one.recipe.seed + 1);
  const { vocab, batch } = one;
  const factors = factorsOf(batch, vocab, random);
  const input = { ...batch.input, logits: logitsOf(factors) };
  const { logits: _, vocab: __, ...others } = batch.given as LossInputs & { logits: unknown; vocab: number };
  const given = { ...others, ...factors, hidden_size: WIDTH } as LossInputs;
  const tokens = factors.hidden.length / WIDTH;
  const options = { skipMasked: batch.skipMasked, maxBytes: 1 + Math.floor(random() * 1.2 * tokens) * 4 * (vocab + WIDTH) };
  try {
    const result = await compiled.forwardBackward(given, {}, { ...options, nonFinite: "propagate" });
    tally.graphs++;
    if (tokens === 0) {
      expect(result.loss).toBe(0);
      return;
    }
    const bounds = boundsOf(one.compiled, { ...batch, input }, FLOAT32);
    const gradient = gradientOf(factors, bounds.gradient as Bounded);
    const both = [...(result.gradHidden as Float32Array), ...(result.gradHead as Float32Array)];
    hold({ ...numbersOf({ ...result, gradLogits: Float32Array.from(both) }) }, { ...bounds, gradient }, 2, tally, false);
    // Where float32 may be infinite nobody knows whether that is told.
    if (Object.values(bounds).some(({ error }) => error.some((e) => !Number.isFinite(e)))) return;
    const expected = evaluateReference(one.compiled.graph, input).nonFinite;
    const sum = new Float32Array(factors.head.length).fill(1);
    const told = await compiled.forwardBackward(given, {}, { ...options, gradHead: sum }).then(
      () => null,
      (error: { code?: string; message: string }) => error.code ?? error.message,
    );
    if ((told !== null) !== (expected !== null) || (told && told !== "NON_FINITE"))
      throw new Error(`told ${told}, though on reference ${JSON.stringify(expected)} is not finite`);
    const added = told ? 0 : 1;
    tally.told++;
    expect(Array.from(sum)).toEqual(Array.from(result.gradHead as Float32Array, (x) => Math.fround(1 + added * (added ? x : 0))));
  } catch (error) {
    const list = (x: Float32Array) => `[${x.join(", ")}]`;
    throw new Error(
      `${(error as Error).message}\nmaxBytes ${options.maxBytes}, hidden ${list(factors.hidden)}, head ${list(factors.head)}\n${textOf({ ...one, batch: { ...batch, input } })}`,
      { cause: error },
    );
  }
}

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
    const tally: HeadTally = { graphs: 0, tight: 0, loose: 0, told: 0 };
    for (const [i, one] of cases.entries()) await check(one, compiled[i] as CompiledLoss, tally);
    expect(tally.graphs).toBe(many(graphs));
    expect(tally.tight).toBeGreaterThan(tally.loose);
    // A check that leaves most of what it sees half done would prove little. Nine in ten are done, but of a handful that varies.
    expect(3 * tally.told).toBeGreaterThan(many(graphs));
  });
});
