import { describe, expect, test } from "vitest";
import { type AdamOptions, type AdamParameters, ParameterSet, TrainingClient } from "../../index.js";
import { adamParameters } from "../../runtime/training/adam.js";
import { expectClose, expectError } from "../runtime/support.js";
import { eachTrainingDevice, everyBit, noise } from "./support.js";

const SHAPES = { matrix: [7, 93], vector: [1300], scalar: [1], none: [0] } as const;
type Name = keyof typeof SHAPES;

/** Adam as its paper has it, in float64, with decoupled decay and clipping by the norm of everything. */
class PlainAdam {
  readonly weights: Record<Name, Float64Array>;
  readonly #means: Record<Name, Float64Array>;
  readonly #squares: Record<Name, Float64Array>;
  #step = 0;

  constructor(initial: Record<Name, ArrayLike<number>>) {
    const copy = (map: (values: ArrayLike<number>) => Float64Array) =>
      Object.fromEntries(Object.entries(initial).map(([name, values]) => [name, map(values)])) as Record<Name, Float64Array>;
    this.weights = copy((values) => Float64Array.from(values));
    this.#means = copy((values) => new Float64Array(values.length));
    this.#squares = copy((values) => new Float64Array(values.length));
  }

  apply(gradients: Record<Name, ArrayLike<number>>, options: AdamOptions): void {
    const { learningRate, beta1, beta2, eps, weightDecay, gradClipNorm } = adamParameters(options);
    const norm = Math.sqrt(
      Object.values(gradients).reduce((total, values) => total + Array.from(values).reduce((sum, x) => sum + x * x, 0), 0),
    );
    const scale = gradClipNorm > 0 ? Math.min(1, gradClipNorm / norm) : 1;
    this.#step++;
    for (const name of Object.keys(this.weights) as Name[]) {
      const [weights, means, squares] = [this.weights[name], this.#means[name], this.#squares[name]];
      weights.forEach((weight, i) => {
        const g = scale * (gradients[name][i] as number);
        const mean = beta1 * (means[i] as number) + (1 - beta1) * g;
        const square = beta2 * (squares[i] as number) + (1 - beta2) * g * g;
        const step = mean / (1 - beta1 ** this.#step) / (Math.sqrt(square / (1 - beta2 ** this.#step)) + eps);
        weights[i] = weight * (1 - learningRate * weightDecay) - learningRate * step;
        means[i] = mean;
        squares[i] = square;
      });
    }
  }
}

function arrays(seed: number): Record<Name, Float32Array> {
  const entries = Object.entries(SHAPES).map(([name, shape], i) => [
    name,
    noise(
      shape.reduce<number>((a, b) => a * b, 1),
      seed + i,
    ),
  ]);
  return Object.fromEntries(entries) as Record<Name, Float32Array>;
}

const CASES: readonly { readonly name: string; readonly options: AdamOptions }[] = [
  { name: "defaults", options: {} },
  { name: "a large rate", options: { learningRate: 0.1, beta1: 0.5, beta2: 0.9, eps: 1e-3 } },
  { name: "decay", options: { learningRate: 0.01, weightDecay: 0.1 } },
  { name: "clipping", options: { learningRate: 0.01, eps: 0.1, gradClipNorm: 2 } },
  { name: "a limit that nothing reaches", options: { learningRate: 0.01, gradClipNorm: 1e6 } },
];

eachTrainingDevice((open) => {
  test.each(CASES)("$name: ten steps as in float64", async ({ options }) => {
    const device = await open();
    const initial = arrays(1);
    const tensors = Object.fromEntries(
      Object.entries(initial).map(([name, values]) => [name, { shape: SHAPES[name as Name], data: values }]),
    );
    const parameters = await ParameterSet.create<Name>(device, tensors as never);
    const plain = new PlainAdam(initial);
    for (let step = 1; step <= 10; step++) {
      const gradients = arrays(100 * step);
      for (const name of Object.keys(SHAPES) as Name[]) {
        const { gradient } = parameters.get(name);
        if (gradients[name].length > 0)
          await parameters.steps.run([{ kind: "write", to: gradient, offset: 0, from: gradients[name] }]);
      }
      await parameters.optimStep(adamParameters(options));
      plain.apply(gradients, options);
    }
    const state = await parameters.state();
    expect(state.step).toBe(10);
    for (const name of Object.keys(SHAPES) as Name[])
      expectClose(state.tensors[`weights/${name}`]?.data ?? [], plain.weights[name], 3e-6);
    for (const { data } of Object.values(await parameters.gradients())) expect(data.every((g) => g === 0)).toBe(true);
  });

  /** Two parameters with these gradients, after one step of Adam that gave them moments. */
  async function gathered(a: readonly number[], b: readonly number[]) {
    const device = await open();
    const tensor = (length: number) => ({ shape: [length], data: new Float32Array(length).fill(0.5) });
    const parameters = await ParameterSet.create(device, { a: tensor(a.length), b: tensor(b.length) });
    const put = async (name: "a" | "b", from: ArrayLike<number>) =>
      parameters.steps.run([{ kind: "write", to: parameters.get(name).gradient, offset: 0, from: Float32Array.from(from) }]);
    await put("a", new Float32Array(a.length).fill(0.25));
    await parameters.optimStep(adamParameters());
    await Promise.all([put("a", a), put("b", b)]);
    const { device: on } = parameters;
    const optimStep = (adam: AdamParameters) => parameters.optimStep(adam);
    const policy = { optimStep, forward: null, backward: null, load: null, state: null } as never;
    return { parameters, client: new TrainingClient({ policy, device: on }), bits: () => everyBit({ parameters }) };
  }

  test.each([
    ["Infinity", [0, 1], [2, Number.POSITIVE_INFINITY], {}, "Infinity"],
    ["NaN", [0, 1], [Number.NaN, 2], {}, "NaN"],
    ["Infinity, clipped", [0, 1], [2, Number.NEGATIVE_INFINITY], { gradClipNorm: 1 }, "Infinity"],
    ["NaN, clipped", [0, 1], [2, Number.NaN], { gradClipNorm: 1 }, "NaN"],
    ["too long for a square in float32", [0, 1], [1, 1e30], {}, "gradClipNorm"],
  ])("a gradient that is %s: NON_FINITE, no step, and what has gathered stays", async (_, a, b, options, said) => {
    const { client, bits, parameters } = await gathered(a, b);
    const before = await bits();
    const error = await expectError("NON_FINITE", () => client.optimStep(options), '"b"', said, "propagate", "stays");
    expect(await bits()).toBe(before);
    expect(parameters.step, error.message).toBe(1);
    await client.optimStep({ ...options, nonFinite: "propagate" });
    expect(parameters.step).toBe(2);
    expect(await bits()).not.toBe(before);
  });

  test.each([
    ["sums of squares beyond float32", 1e19, 700, 1],
    ["squares beyond float32", 3e38, 700, 1],
    ["squares below float32", 1e-30, 300, 1e-30],
  ])("clips by a norm of %s", async (_, g, length, gradClipNorm) => {
    const { parameters } = await gathered(new Array(length).fill(g), [-g]);
    const norm = Math.sqrt(length + 1) * Math.fround(g);
    expect(Math.abs((await parameters.gradientNorm()) / norm - 1)).toBeLessThan(1e-12);
    await parameters.optimStep(adamParameters({ beta1: 0.5, gradClipNorm }));
    const { tensors } = await parameters.state();
    const clipped = (-gradClipNorm / Math.sqrt(length + 1)) * 0.5;
    expect(Math.abs((tensors["means/b"]?.data[0] as number) / clipped - 1)).toBeLessThan(1e-6);
  });

  test("a weight that never had a gradient stays where it is", async () => {
    const parameters = await ParameterSet.create(await open(), { w: { shape: [3], data: Float32Array.of(1, -2, 0.1) } });
    await parameters.optimStep(adamParameters());
    expect((await parameters.state()).tensors["weights/w"]?.data).toEqual(Float32Array.of(1, -2, 0.1));
  });
});

describe("options", () => {
  test("have the defaults of the design", () => {
    expect(adamParameters()).toEqual({
      learningRate: 1e-4,
      beta1: 0.9,
      beta2: 0.95,
      eps: 1e-12,
      weightDecay: 0,
      gradClipNorm: 0,
      nonFinite: "error",
    });
    expect(adamParameters({ learningRate: undefined as never, eps: 1 })).toMatchObject({ learningRate: 1e-4, eps: 1 });
  });
});
