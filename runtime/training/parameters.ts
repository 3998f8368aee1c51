/** The weights of a policy on its device, with the moments that Adam keeps. */
import { LosscError } from "../../dsl/errors.js";
import type { Command, NativeBuffer } from "../addon/native.js";
import type { Device, DeviceBuffer } from "../devices/device.js";
import { isArrayOf } from "../devices/dtypes.js";
import { type AdamParameters, adamFactors } from "./adam.js";
import { NORM_CHUNK } from "./kernels.js";
import { numbersOf, type PolicyState, type Tensor } from "./policy.js";
import { TrainingSteps } from "./steps.js";

/** The weights of a policy on its device, one array of float32, with everything that Adam keeps beside them. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly length: number;
  readonly weight: NativeBuffer;
  /** The same memory as an input of a loss, for example its `head`. */
  readonly weights: DeviceBuffer;
  /** The gradient, which `backward` adds to. */
  readonly gradient: NativeBuffer;
  readonly mean: NativeBuffer;
  readonly square: NativeBuffer;
}

/** Names of a parameter's arrays in a state. */
const PARTS = { weight: "weights", mean: "means", square: "squares" } as const;
type Part = keyof typeof PARTS;

/** All parameters of a policy: the part that does not depend on its layers. */
export class ParameterSet<Name extends string = string> {
  readonly device: Device;
  /** Small kernels for layers, and Adam's. */
  readonly steps: TrainingSteps;
  readonly #parameters: ReadonlyMap<Name, Parameter>;
  readonly #partials: NativeBuffer;
  #step = 0;

  private constructor(steps: TrainingSteps, parameters: ReadonlyMap<Name, Parameter>) {
    this.device = steps.device;
    this.steps = steps;
    this.#parameters = parameters;
    this.#partials = steps.native.allocate(Math.max(8, 8 * this.#all().reduce((total, { length }) => total + chunks(length), 0)));
  }

  /** Puts the weights that training begins with on the device. Throws `DEVICE_NOT_FOUND` on `reference`, which has no addon to run on. */
  static async create<Name extends string>(device: Device, initial: Readonly<Record<Name, Tensor>>): Promise<ParameterSet<Name>> {
    const steps = await TrainingSteps.load(device);
    const allocate = (bytes: number) => steps.native.allocate(Math.max(4, bytes));
    const entries: [Name, Parameter][] = [];
    for (const [name, tensor] of Object.entries<Tensor>(initial)) {
      const length = lengthOf(name, tensor);
      const weights = await device.buffer(tensor.data);
      const [gradient, mean, square] = [allocate(4 * length), allocate(4 * length), allocate(4 * length)];
      const weight = weights.memory as NativeBuffer;
      entries.push([name as Name, { name, shape: tensor.shape, length, weight, weights, gradient, mean, square }]);
    }
    return new ParameterSet(steps, new Map(entries));
  }

  get(name: Name): Parameter {
    return this.#parameters.get(name) as Parameter;
  }

  /** Steps of Adam taken so far. */
  get step(): number {
    return this.#step;
  }

  /**
   * One step of Adam with the gathered gradients, which are zero afterwards.
   *
   * @throws LosscError `NON_FINITE`, with nothing changed, where {@link checkNorm} finds that no step can be taken; with `nonFinite: "propagate"` it
   *   is taken all the same.
   */
  async optimStep(adam: AdamParameters): Promise<void> {
    const factors = adamFactors(adam, this.#step + 1);
    const { gradClipNorm, nonFinite } = adam;
    let gradientScale = 1;
    if (gradClipNorm > 0 || nonFinite !== "propagate") {
      const squares = await this.#squares();
      const norm = normOf(squares);
      if (gradClipNorm > 0) gradientScale = Math.min(1, gradClipNorm / norm);
      if (nonFinite !== "propagate") checkNorm(norm, gradientScale, squares);
    }
    await this.steps.run(this.#all().flatMap((parameter) => this.steps.adam(parameter, { ...adam, ...factors, gradientScale })));
    this.#step++;
  }

  /** Norm of all gathered gradients taken together. */
  async gradientNorm(): Promise<number> {
    return normOf(await this.#squares());
  }

  /** The sum of the squares of the gathered gradient of each parameter. */
  async #squares(): Promise<Squares> {
    const program: Command[] = [];
    const sums: { name: string; begin: number; end: number }[] = [];
    let end = 0;
    for (const { name, gradient, length } of this.#all()) {
      program.push(...this.steps.squares({ x: gradient, length, out: this.#partials, offset: 8 * end, dtype: "f64" }));
      sums.push({ name, begin: end, end: end + chunks(length) });
      end += chunks(length);
    }
    const partials = new Float64Array(end);
    if (end > 0) program.push({ kind: "read", from: this.#partials, offset: 0, to: partials });
    await this.steps.run(program);
    return sums.map(({ name, begin, end }) => [name, partials.subarray(begin, end).reduce((a, b) => a + b, 0)]);
  }

  /** The gathered gradients, by name. */
  async gradients(): Promise<Record<Name, Tensor>> {
    return (await this.#read((parameter) => [[parameter.name, parameter.gradient]])) as Record<Name, Tensor>;
  }

  async state(): Promise<PolicyState> {
    const step = this.#step;
    return { step, tensors: await this.#read((parameter) => parts(parameter).map(({ key, buffer }) => [key, buffer])) };
  }

  /** Checks the state whole, then takes it over and drops the gathered gradients. */
  async load(state: PolicyState): Promise<void> {
    if (!Number.isSafeInteger(state.step) || state.step < 0)
      throw new LosscError("USAGE", `the state's step is ${state.step}, no count`);
    const program: Command[] = [];
    const wanted = new Set<string>();
    for (const parameter of this.#all()) {
      for (const { key, buffer } of parts(parameter)) {
        wanted.add(key);
        const tensor = state.tensors[key];
        if (!tensor) throw new LosscError("INPUT_MISSING", `the state has no ${key}: it is of another policy`);
        if (tensor.shape.join() !== parameter.shape.join() || lengthOf(key, tensor) !== parameter.length) {
          const message = `${key} of the state is ${tensor.shape.join(" × ")}, the policy's is ${parameter.shape.join(" × ")}`;
          throw new LosscError("INPUT_LENGTH", `${message}: it is of another policy`);
        }
        program.push(...write(buffer, tensor.data));
      }
      program.push({ kind: "fill", to: parameter.gradient, offset: 0, bytes: parameter.gradient.byteLength, value: 0 });
    }
    const unknown = Object.keys(state.tensors).find((key) => !wanted.has(key));
    if (unknown !== undefined)
      throw new LosscError("INPUT_UNKNOWN", `the state has ${unknown}, which the policy has not: it is of another policy`);
    await this.steps.run(program);
    this.#step = state.step;
  }

  dispose(): void {
    for (const { weights, gradient, mean, square } of this.#all())
      for (const buffer of [weights, gradient, mean, square]) buffer.dispose();
    this.#partials.dispose();
  }

  #all(): Parameter[] {
    return [...this.#parameters.values()];
  }

  async #read(choose: (parameter: Parameter) => [key: string, buffer: NativeBuffer][]): Promise<Record<string, Tensor>> {
    const tensors: [key: string, Tensor][] = [];
    const program: Command[] = [];
    for (const parameter of this.#all()) {
      for (const [key, from] of choose(parameter)) {
        const data = new Float32Array(parameter.length);
        tensors.push([key, { shape: parameter.shape, data }]);
        if (data.length > 0) program.push({ kind: "read", from, offset: 0, to: data });
      }
    }
    await this.steps.run(program);
    return Object.fromEntries(tensors);
  }
}

/** Sums of squares, by the name of the parameter. */
type Squares = readonly (readonly [name: string, sum: number])[];

function normOf(squares: Squares): number {
  return Math.sqrt(squares.reduce((total, [, sum]) => total + sum, 0));
}

/** A bound whose square float32 holds; the square of 1.85e19 overflows. */
const MAX_SQUARED = 1.8e19;

/** Refuses gradients that Adam cannot take: an infinite square makes all later steps 0, and NaN makes NaN. */
function checkNorm(norm: number, scale: number, squares: Squares): void {
  if (norm * scale <= MAX_SQUARED) return;
  const [name] = squares.find(([, sum]) => !Number.isFinite(sum)) ?? squares.reduce((a, b) => (b[1] > a[1] ? b : a));
  const why = Number.isFinite(norm) ? ", and Adam's float32 cannot hold its square; clip it with gradClipNorm" : "";
  throw new LosscError(
    "NON_FINITE",
    `the norm of the gathered gradients is ${norm}, above all that of "${name}"${why}. No step was taken, and what has gathered stays: loading a state drops it, nonFinite: "propagate" takes the step all the same`,
  );
}

function parts(parameter: Parameter): { key: string; buffer: NativeBuffer }[] {
  return (Object.keys(PARTS) as Part[]).map((part) => ({ key: `${PARTS[part]}/${parameter.name}`, buffer: parameter[part] }));
}

function chunks(length: number): number {
  return Math.ceil(length / NORM_CHUNK);
}

function write(to: NativeBuffer, from: Float32Array): Command[] {
  return from.length > 0 ? [{ kind: "write", to, offset: 0, from }] : [];
}

function lengthOf(name: string, tensor: Tensor): number {
  const length = numbersOf(tensor.shape);
  if (!isArrayOf(tensor.data, Float32Array) || tensor.data.length !== length) {
    throw new LosscError("INPUT_LENGTH", `${name} is ${tensor.shape.join(" × ")} but has ${tensor.data?.length} numbers`);
  }
  return length;
}
