/** Runs random losses on a device and holds every number against what float32 arithmetic allows. */
import { type CompiledPlan, compilePlan } from "../../codegen/compile.js";
import { authoredResults, gradientOf, LOGPROBS, LOSS, metricName, outputName } from "../../codegen/loss-program.js";
import { lower } from "../../codegen/passes/lower.js";
import { simplify } from "../../codegen/passes/simplify.js";
import { resultOf } from "../../codegen/program.js";
import type { Space } from "../../dsl/spaces.js";
import { compileBatch } from "../../runtime/compiled/compile-batch.js";
import type { CompiledLoss, Device, LossResult } from "../../runtime/devices/device.js";
import { evaluateReference } from "../../runtime/reference.js";
import { type Batch, batchOf } from "./batch.js";
import { type Arithmetic, type Bounded, Bounds, FLOAT32 } from "./bounds.js";
import { type Kind, lossOf, type Recipe } from "./recipe.js";

/** How many numbers were held against something tight, and how many could have been anything. */
export interface Tally {
  graphs: number;
  tight: number;
  loose: number;
}

/** The allowed results of a loss for a batch. */
export function boundsOf({ program }: CompiledPlan, { input }: Batch, arithmetic: Arithmetic): Record<string, Bounded> {
  const lowered = simplify(lower(program));
  const bounds = new Bounds(input, arithmetic);
  bounds.visit(lowered);
  const gradient = gradientOf(lowered);
  const { value, error } = bounds.in(gradient.x, gradient.space);
  const masked = (i: number) => input.inputs.weights?.[i] === 0;
  /** Outputs of a token whose row is not read are 0. Where a row of weight 0 is read, it may hold anything, and they are not compared. */
  const output = ({ value, error }: Bounded, of: Space): Bounded => {
    if (of !== "token") return { value, error };
    const unread = (i: number) => lowered.rows !== null && input.skipMasked && masked(i);
    const anything = (i: number) => "v" in input.inputs && masked(i);
    return {
      value: value.map((v, i) => (unread(i) ? 0 : v)),
      error: error.map((e, i) => (unread(i) ? 0 : anything(i) ? Number.POSITIVE_INFINITY : e)),
    };
  };
  const absent = (i: number) => input.logits?.[i] === Number.NEGATIVE_INFINITY;
  return {
    loss: bounds.in(resultOf(lowered, LOSS).x, "batch"),
    ...(lowered.rows && { logprobs: bounds.in(resultOf(lowered, LOGPROBS).x, "token") }),
    gradient: { value: value.map((v, i) => (absent(i) ? 0 : v)), error: error.map((e, i) => (absent(i) ? 0 : e)) },
    ...Object.fromEntries(
      [...authoredResults(lowered, metricName)].map(([key, { x }]) => [`metric ${key}`, bounds.in(x, "batch")]),
    ),
    ...Object.fromEntries(
      [...authoredResults(lowered, outputName)].map(([key, { space, x }]) => [
        `output ${key}`,
        output(bounds.in(x, space), space),
      ]),
    ),
  };
}

/** Throws at the first number that is not allowed. `slack` allows a few times the error, for what the bounds leave out (products of errors).
 * Infinity and NaN are distinguished where `exactly`: a factor of infinity that leaves a sum over the row may turn one into the other. */
export function hold(
  got: Readonly<Record<string, ArrayLike<number>>>,
  bounds: Readonly<Record<string, Bounded>>,
  slack: number,
  tally: Tally,
  exactly = true,
): void {
  for (const [what, { value, error }] of Object.entries(bounds)) {
    const numbers = got[what] as ArrayLike<number>;
    if (numbers.length !== value.length) throw new Error(`${what} has ${numbers.length} numbers instead of ${value.length}`);
    for (let i = 0; i < value.length; i++) {
      const [v, e, g] = [value[i] as number, error[i] as number, numbers[i] as number];
      const off = Math.abs(g - v);
      const allowed = slack * e;
      if (e === Number.POSITIVE_INFINITY || Number.isNaN(e)) tally.loose++;
      else if (!(Number.isFinite(v) ? off <= allowed : exactly ? Object.is(v, g) : !Number.isFinite(g)))
        throw new Error(`${what}[${i}] is ${g} instead of ${v} ± ${allowed}`);
      else if (e <= 1e-3 * Math.abs(v) + 1e-6) tally.tight++;
      else tally.loose++;
    }
  }
}

export function numbersOf(result: LossResult): Record<string, ArrayLike<number>> {
  return {
    loss: [result.loss],
    ...(result.logprobs && { logprobs: result.logprobs }),
    gradient: (result.gradLogits ?? result.gradLogprobs) as ArrayLike<number>,
    ...Object.fromEntries(Object.entries(result.metrics).map(([key, x]) => [`metric ${key}`, [x]])),
    ...Object.fromEntries(Object.entries(result.outputs).map(([key, x]) => [`output ${key}`, x])),
  };
}

export interface Case {
  readonly recipe: Recipe;
  readonly kind: Kind;
  readonly vocab: number;
  readonly text: () => string;
  readonly compiled: CompiledPlan;
  readonly batch: Batch;
}

/** A unit of random losses, compiled together. Rows take turns among `vocabs`. */
export function casesOf(
  unit: readonly Recipe[],
  kind: Kind,
  vocabs: readonly number[],
): { readonly cases: readonly Case[]; make(device: Device): Promise<CompiledLoss[]> } {
  const losses = unit.map((recipe, i) => lossOf(recipe, kind, `random ${i}`));
  const logits = kind.from === "logits" ? "f32" : null;
  const cases = unit.map((recipe, i): Case => {
    const vocab = vocabs[i % vocabs.length] as number;
    const { loss, text } = losses[i] as (typeof losses)[number];
    return {
      recipe,
      kind,
      vocab,
      text,
      compiled: compilePlan({ loss, logits }),
      batch: batchOf(recipe.seed, { ...kind, vocab }),
    };
  });
  return {
    cases,
    make: (device) =>
      compileBatch(
        device,
        losses.map(({ loss }) => loss),
        { dtype: logits, vocab: vocabs },
      ),
  };
}

/** Value, gradient, metrics and outputs of each loss of the unit on the device, and whether it reports a number that is not finite. */
export async function checkUnit(cases: readonly Case[], compiled: readonly CompiledLoss[], tally: Tally): Promise<void> {
  for (const [i, one] of cases.entries()) {
    const { given, skipMasked, input } = one.batch;
    const loss = compiled[i] as CompiledLoss;
    try {
      const result = await loss.forwardBackward(given, {}, { nonFinite: "propagate", skipMasked });
      tally.graphs++;
      if (input.lengths.every((length) => length === 0)) {
        if (result.loss !== 0) throw new Error(`the loss of no tokens is ${result.loss}`);
        continue;
      }
      const bounds = boundsOf(one.compiled, one.batch, FLOAT32);
      hold(numbersOf(result), bounds, 2, tally, !one.kind.rows);
      const certain = Object.values(bounds).every(({ error }) => error.every((e) => Number.isFinite(e)));
      if (!certain) continue;
      const expected = evaluateReference(one.compiled.program, input).nonFinite;
      const code = await loss.forwardBackward(given, {}, { skipMasked }).then(
        () => null,
        (error: { code?: string; message: string }) => error.code ?? error.message,
      );
      if ((code !== null) !== (expected !== null) || (code && code !== "NON_FINITE"))
        throw new Error(`${code}, though on reference ${JSON.stringify(expected)} is not finite`);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${describe(one)}`, { cause: error });
    }
  }
}

export function describe({ text, batch, vocab, recipe, kind }: Case): string {
  const { lengths, groups, logits, policyLogprobs, inputs, targetTokens, skipMasked } = batch.input;
  const list = (x: ArrayLike<number> | null) => (x ? `[${Array.from(x).join(", ")}]` : "none");
  return [
    text(),
    `from ${kind.from}, vocab ${vocab}, lengths ${list(lengths)}, groups ${list(groups)}, skipMasked ${skipMasked}, seed ${recipe.seed}`,
    ...Object.entries(inputs).map(([key, x]) => `${key} ${list(x)}`),
    logits ? `logits ${list(logits.slice(0, 200))}, targets ${list(targetTokens)}` : `policy_logprobs ${list(policyLogprobs)}`,
    `recipe ${JSON.stringify(recipe)}`,
  ].join("\n");
}
