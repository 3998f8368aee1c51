/** Each reduction against its plain formula: value and gradient, with weights that mask, sequences of every length, on every device. */
import { beforeAll, describe, expect, it } from "vitest";
import {
  amax,
  amin,
  count,
  defineLoss,
  div,
  type Expr,
  gt,
  LosscError,
  type LossDefinition,
  logsumexp,
  mean,
  mul,
  neg,
  REDUCTIONS,
  type Reduction,
  std,
  sum,
  variance,
} from "../../dsl/index.js";
import { trace } from "../../dsl/trace.js";
import { compileBatch } from "../../runtime/compiled/compile-batch.js";
import type { CompiledLoss } from "../../runtime/devices/device.js";
import { withoutOptimisation } from "../optimisation.js";
import { onDevices, opened } from "../properties/devices.js";
import { numbersFrom } from "../sample.js";

withoutOptimisation();

/** Value of the elements that count, and the gradient of each. */
type Formula = (xs: readonly number[]) => readonly [value: number, gradient: readonly number[]];
const total = (xs: readonly number[]) => xs.reduce((a, b) => a + b, 0);
const average = (xs: readonly number[]) => total(xs) / xs.length;
const squares = (xs: readonly number[]) => total(xs.map((x) => (x - average(xs)) ** 2));
const shared = (xs: readonly number[], extreme: number): readonly [number, readonly number[]] => {
  const ties = xs.filter((x) => x === extreme).length;
  return [extreme, xs.map((x) => (x === extreme ? 1 / ties : 0))];
};

const FORMULAS: Readonly<Record<Reduction, Formula>> = {
  sum: (xs) => [total(xs), xs.map(() => 1)],
  mean: (xs) => [average(xs), xs.map(() => 1 / xs.length)],
  variance: (xs) => [squares(xs) / (xs.length - 1), xs.map((x) => (2 * (x - average(xs))) / (xs.length - 1))],
  std: (xs) => {
    const s = Math.sqrt(squares(xs) / (xs.length - 1));
    return [s, xs.map((x) => (s === 0 ? 0 : (x - average(xs)) / (xs.length - 1) / s))];
  },
  amax: (xs) => shared(xs, Math.max(...xs)),
  amin: (xs) => shared(xs, Math.min(...xs)),
  logsumexp: (xs) => {
    const sumOfExp = total(xs.map(Math.exp));
    return [Math.log(sumOfExp), xs.map((x) => Math.exp(x) / sumOfExp)];
  },
  count: (xs) => [xs.length, xs.map(() => 0)],
};
const REDUCE: Readonly<Record<Reduction, (x: Expr, axis?: "tokens") => Expr>> = {
  sum,
  mean,
  variance,
  std,
  amax,
  amin,
  logsumexp,
  count,
};

const whole = (reduction: Reduction) =>
  defineLoss({ name: `${reduction} of all`, loss: (policy) => REDUCE[reduction](policy.logprobs) });
/** Counts what is true of all tokens, of each sequence and of each row, and the elements of a number beside. */
const counting = defineLoss({
  name: "counts of masks",
  inputs: { scores: "token" },
  loss({ logprobs }, { scores }) {
    const high = gt(scores, -1);
    const perSequence = count(high, "tokens");
    return {
      loss: mul(logprobs, div(count(high), count(scores))),
      metrics: {
        all: count(high),
        elements: count(scores),
        sequences: count(gt(perSequence, 1)),
        scalar: count(gt(mean(scores), -99)),
      },
      outputs: { perSequence },
    };
  },
});
const countingEntries = defineLoss({
  name: "counts of entries",
  loss: ({ logits }) => ({
    loss: count(gt(logits, 0.5), "vocab"),
    metrics: { entries: count(logits), high: count(gt(logits, 0.5)) },
  }),
});
const each = (reduction: Reduction) =>
  defineLoss({
    name: `${reduction} of each sequence`,
    loss(policy) {
      const per = REDUCE[reduction](policy.logprobs, "tokens");
      return { loss: per, metrics: { mean: mean(per), count: count(per) }, outputs: { per } };
    },
  });

interface Batch {
  readonly lengths: readonly number[];
  readonly xs: readonly number[];
  readonly weights: readonly number[];
}

const random = numbersFrom(7);
const made = (lengths: readonly number[], weight: () => number): Batch => {
  const tokens = total(lengths);
  return {
    lengths,
    xs: Array.from({ length: tokens }, () => -Math.floor(random() * 12) / 4),
    weights: Array.from({ length: tokens }, weight),
  };
};
const pick = (of: readonly number[]) => () => of[Math.floor(random() * of.length)] as number;
const WEIGHTED: Readonly<Record<string, Batch>> = {
  "without weights that mask": made([5, 3, 4], () => 1),
  "fractional, negative and zero weights": made([6, 5, 7], pick([0, 0.5, -1, 2, 0])),
  "an empty sequence and one of a single token": made([3, 0, 1, 4], () => 1),
  "more tokens than a chunk": made([2000, 3, 1100], pick([0, 1, 1])),
  "a sequence that is masked": { lengths: [2, 3, 2], xs: [-1, -2, -0.5, -3, -1, -0.25, -4], weights: [1, 1, 0, 0, 0, 0.25, -2] },
};

/** Segments of tokens that count. */
function segments({ lengths, weights }: Batch): number[][] {
  let t = 0;
  return lengths.map((length) => Array.from({ length }, () => t++).filter((token) => weights[token] !== 0));
}

const close = (got: number | undefined, expected: number, what: string) => {
  if (Number.isFinite(expected))
    expect(Math.abs((got as number) - expected), `${what}: ${got} instead of ${expected}`).toBeLessThanOrEqual(
      2e-6 * (1 + Math.abs(expected)),
    );
  else expect(got, what).toBe(expected);
};

describe("reductions", () => {
  onDevices(
    (device) => {
      const compiled = new Map<string, CompiledLoss>();
      beforeAll(async () => {
        const losses = REDUCTIONS.flatMap((reduction) => [whole(reduction), each(reduction)]) as unknown as LossDefinition[];
        for (const loss of await compileBatch(device(), losses, { dtype: null })) compiled.set(loss.loss.name, loss);
      });
      const run = ({ lengths, xs, weights }: Batch, name: string) =>
        (compiled.get(name) as CompiledLoss).forwardBackward(
          { lengths, policy_logprobs: [...xs], weights: [...weights] },
          {},
          { nonFinite: "propagate" },
        );

      it("count of a mask counts what is true, of a number every element", async () => {
        const lengths = [3, 2, 2];
        const scores = [0, -1, 1, -2, 3, 5, 5];
        const weights = [1, 1, 0.5, 2, -1, 0, 0];
        const loss = await device().compile(counting as unknown as LossDefinition);
        const result = await loss.forwardBackward({ lengths, policy_logprobs: [-1, -2, -3, -4, -5, -6, -7], weights, scores });
        close(result.loss, (-1 - 2 - 1.5 - 8 + 5) * (3 / 5), "loss");
        expect(result.metrics).toMatchObject({ all: 3, elements: 5, sequences: 1, scalar: 1 });
        expect([...(result.outputs.perSequence as Float32Array)]).toEqual([2, 1, 0]);
      });

      it("count of entries counts what is true in each row, but for entries that are not there", async () => {
        const given = { lengths: [2, 1], target_tokens: [1, 2, 0], weights: [1, 2, 0] };
        const logits = Float32Array.of(1, 0, 2, Number.NEGATIVE_INFINITY, 0.5, 0.75, 9, 9, 9);
        const loss = await device().compile(countingEntries as unknown as LossDefinition, { dtype: "f32" });
        const result = await loss.forwardBackward({ ...given, logits });
        expect(result.loss).toBe(2 + 2 * 1);
        expect(result.metrics).toMatchObject({ entries: 5, high: 3 });
        expect([...(result.gradLogits as Float32Array)].every((g) => g === 0)).toBe(true);
      });

      describe.each(Object.entries(WEIGHTED))("%s", (_, batch) => {
        it.each(REDUCTIONS)("%s of all", async (reduction) => {
          const tokens = segments(batch).flat();
          const [value, gradient] = FORMULAS[reduction](tokens.map((t) => batch.xs[t] as number));
          const result = await run(batch, `${reduction} of all`);
          close(result.loss, value, "loss");
          const expected = batch.xs.map((_x, t) => gradient[tokens.indexOf(t)] ?? 0);
          expected.forEach((g, t) => {
            close((result.gradLogprobs as Float32Array)[t], g, `gradient of token ${t}`);
          });
        });

        it.each(REDUCTIONS)("%s of each sequence", async (reduction) => {
          const counted = segments(batch);
          const results = counted.map((tokens) => FORMULAS[reduction](tokens.map((t) => batch.xs[t] as number)));
          const there = counted.flatMap((tokens, s) => (tokens.length > 0 ? [s] : []));
          const result = await run(batch, `${reduction} of each sequence`);
          // A sequence without a token that counts contributes 0 and is not counted.
          const values = there.map((s) => (results[s] as ReturnType<Formula>)[0]);
          close(result.loss, total(values), "loss");
          close(result.metrics.mean, average(values), "mean over sequences");
          close(result.metrics.count, there.length, "number of sequences");
          there.forEach((s, i) => {
            close(result.outputs.per?.[s], values[i] as number, `value of sequence ${s}`);
          });
          const gradient = result.gradLogprobs as Float32Array;
          counted.forEach((tokens, s) => {
            tokens.forEach((t, i) => {
              close(gradient[t], (results[s] as ReturnType<Formula>)[1][i] as number, `gradient of token ${t}`);
            });
          });
          batch.weights.forEach((w, t) => {
            if (w === 0) expect(gradient[t], `masked token ${t}`).toBe(0);
          });
        });
      });

      it("a batch in which every token is masked has loss 0 and gradient 0", async () => {
        for (const name of compiled.keys()) {
          const result = await run({ lengths: [2, 1], xs: [-1, Number.NaN, Number.NEGATIVE_INFINITY], weights: [0, 0, 0] }, name);
          expect(result.loss + 0, name).toBe(0);
          expect(
            Array.from(result.gradLogprobs as Float32Array, (g) => g + 0),
            name,
          ).toEqual([0, 0, 0]);
        }
      });

      it.each([
        ["amax", Number.NEGATIVE_INFINITY],
        ["amin", Number.POSITIVE_INFINITY],
      ])("%s of infinities shares nothing with tokens that are masked", async (reduction, x) => {
        for (const name of [`${reduction} of all`, `${reduction} of each sequence`]) {
          const { gradLogprobs } = await run({ lengths: [4], xs: [x, -1, x, x], weights: [1, 0, 0, 1] }, name);
          expect(Array.from(gradLogprobs as Float32Array), name).toEqual([0.5, 0, 0, 0.5]);
        }
      });

      it("a batch without tokens has loss 0", async () => {
        for (const name of compiled.keys()) {
          for (const lengths of [[], [0, 0]]) {
            const result = await run({ lengths, xs: [], weights: [] }, name);
            expect([result.loss, (result.gradLogprobs as Float32Array).length], name).toEqual([0, 0]);
          }
        }
      });
    },
    ["reference", "cpu", "emulated", "cuda:0"],
  );
});

describe("weights", () => {
  it("multiply a token loss and only mask a reduction", async () => {
    await using device = await opened("reference");
    const token = await device.compile(defineLoss({ name: "token", loss: (policy) => neg(policy.logprobs) }));
    const summed = await device.compile(defineLoss({ name: "summed", loss: (policy) => sum(neg(policy.logprobs)) }));
    const given = { lengths: [3], policy_logprobs: [-1, -2, -4], weights: [0.5, 0, -2] };
    expect((await token.forwardBackward(given)).loss).toBe(0.5 * 1 - 2 * 4);
    expect((await summed.forwardBackward(given)).loss).toBe(1 + 4);
  });
});

describe("an axis that the value does not have next", () => {
  it("is named, with what to write instead", () => {
    const tried = (f: (x: Expr, s: Expr, e: Expr) => Expr) => () =>
      trace(
        defineLoss({
          name: "m",
          inputs: { s: "sequence", e: "batch" },
          loss: (policy, inputs) => f(policy.logprobs, inputs.s, inputs.e),
        }) as unknown as LossDefinition,
        { from: "logits", statics: {} },
      );
    const cases: readonly (readonly [() => unknown, RegExp])[] = [
      [tried((x) => sum(x, "sequences")), /sum\(\) over "sequences" was given a value in token space.*write sum\(x, "tokens"\)/],
      [
        tried((_, s) => mean(s, "tokens")),
        /mean\(\) over "tokens" was given a value in sequence space.*write mean\(x, "sequences"\) or leave the axis out/,
      ],
      [tried((_, _s, e) => amax(e, "tokens")), /amax\(\).*batch space.*leave the reduction out/],
      [tried((x) => sum(x, "token" as "tokens")), /no axis "token"/],
      [tried((x) => sum(x, "toString" as "tokens")), /no axis "toString"/],
    ];
    for (const [call, message] of cases) {
      expect(call).toThrow(message);
      expect(call).toThrow(
        expect.objectContaining({
          code: "SPACE_MISMATCH",
          position: expect.objectContaining({ file: expect.stringContaining("reductions.test.ts") }),
        }),
      );
      expect(call).toThrow(LosscError);
    }
  });
});
