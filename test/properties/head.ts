/** Random losses from hidden states and a head, cut into chunks of any size, held against what float32 arithmetic allows for all logits at once. */
import type { CompiledLoss, LossInputs } from "../../runtime/devices/device.js";
import { evaluateReference } from "../../runtime/reference.js";
import { numbersFrom } from "../sample.js";
import type { Batch } from "./batch.js";
import { type Bounded, FLOAT32 } from "./bounds.js";
import { boundsOf, type Case, describe, hold, numbersOf, type Tally } from "./compare.js";

/** Inputs in place of the logits. */
interface Factors {
  readonly hidden: Float32Array;
  readonly head: Float32Array;
  /** Numbers of a hidden state. */
  readonly width: number;
}

/** Halves, so that a logit is the same number in every order of summation. A hidden state of a token of weight 0 may hold anything. */
function factorsOf({ input }: Batch, vocab: number, width: number, random: () => number): Factors {
  const halves = (length: number) => Float32Array.from({ length }, () => (Math.floor(random() * 7) - 3) / 2);
  const tokens = input.targetTokens?.length ?? 0;
  const hidden = halves(tokens * width);
  const { weights } = input.inputs;
  for (let t = 0; t < tokens; t++)
    if (weights?.[t] === 0 && random() < 0.5)
      hidden[t * width + Math.floor(random() * width)] = [Number.NaN, Number.POSITIVE_INFINITY][t % 2] as number;
  return { hidden, head: halves(vocab * width), width };
}

function logitsOf({ hidden, head, width }: Factors): Float64Array {
  const vocab = head.length / width;
  return Float64Array.from({ length: (hidden.length / width) * vocab }, (_, i) => {
    const [t, v] = [Math.floor(i / vocab), i % vocab];
    let sum = 0;
    for (let h = 0; h < width; h++) sum += (hidden[t * width + h] as number) * (head[v * width + h] as number);
    return sum;
  });
}

/** The gradients of hidden states and of the head, one after the other, from that of the logits. What is exactly 0 adds nothing. */
function gradientOf({ hidden, head, width }: Factors, { value, error }: Bounded): Bounded {
  const vocab = head.length / width;
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
    for (let h = 0; h < width; h++) {
      add(t * width + h, i, head[v * width + h] as number);
      add(hidden.length + v * width + h, i, hidden[t * width + h] as number);
    }
  });
  // Float32 sums in any order; and sums in which float32 may already be infinite.
  const rounding = (vocab + hidden.length / width + 2) * 2 ** -24;
  return {
    value: sum,
    error: off.map((e, i) => ((size[i] as number) > 1e37 ? Number.POSITIVE_INFINITY : e + rounding * (size[i] as number))),
  };
}

export interface HeadTally extends Tally {
  /** Checked to the end. */
  calls: number;
}

/**
 * Loss, gradients of hidden states and head, metrics and outputs of one loss, in chunks of some size, and whether it reports a number that is not
 * finite.
 */
export async function checkHead(one: Case, compiled: CompiledLoss, tally: HeadTally, width: number): Promise<void> {
  const random = numbersFrom(one.recipe.seed + 1);
  const { vocab, batch } = one;
  const factors = factorsOf(batch, vocab, width, random);
  const input = { ...batch.input, logits: logitsOf(factors) };
  const { logits: _, vocab: __, ...others } = batch.given as LossInputs & { logits: unknown; vocab: number };
  const { hidden, head } = factors;
  const given = { ...others, hidden, head, hidden_size: width } as LossInputs;
  const tokens = factors.hidden.length / width;
  const options = { skipMasked: batch.skipMasked, maxBytes: 1 + Math.floor(random() * 1.2 * tokens) * 4 * (vocab + width) };
  try {
    const result = await compiled.forwardBackward(given, {}, { ...options, nonFinite: "propagate" });
    tally.graphs++;
    if (tokens === 0) {
      if (result.loss !== 0) throw new Error(`the loss of no tokens is ${result.loss}`);
      return;
    }
    const bounds = boundsOf(one.compiled, { ...batch, input }, FLOAT32);
    const gradient = gradientOf(factors, bounds.gradient as Bounded);
    const both = [...(result.gradHidden as Float32Array), ...(result.gradHead as Float32Array)];
    hold({ ...numbersOf({ ...result, gradLogits: Float32Array.from(both) }) }, { ...bounds, gradient }, 2, tally, false);
    // Where float32 may be infinite, an error is allowed and not required.
    if (Object.values(bounds).some(({ error }) => error.some((e) => !Number.isFinite(e)))) return;
    const expected = evaluateReference(one.compiled.program, input).nonFinite;
    const sum = new Float32Array(factors.head.length).fill(1);
    const code = await compiled.forwardBackward(given, {}, { ...options, gradHead: sum }).then(
      () => null,
      (error: { code?: string; message: string }) => error.code ?? error.message,
    );
    if ((code !== null) !== (expected !== null) || (code && code !== "NON_FINITE"))
      throw new Error(`${code}, though on reference ${JSON.stringify(expected)} is not finite`);
    const added = code ? 0 : 1;
    tally.calls++;
    const wanted = Float32Array.from(result.gradHead as Float32Array, (x) => 1 + (added ? x : 0));
    const wrong = wanted.findIndex((x, i) => !Object.is(x, sum[i]));
    if (wrong >= 0) throw new Error(`what gathers in gradHead[${wrong}] is ${sum[wrong]} instead of ${wanted[wrong]}`);
  } catch (error) {
    const list = (x: Float32Array) => `[${x.join(", ")}]`;
    throw new Error(
      `${(error as Error).message}\nmaxBytes ${options.maxBytes}, hidden ${list(factors.hidden)}, head ${list(factors.head)}\n${describe({ ...one, batch: { ...batch, input } })}`,
      { cause: error },
    );
  }
}
