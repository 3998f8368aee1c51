/** Helpers of the training tests: a policy that is one table, a few data, and the bits of everything that training changes. */
import { onTestFinished } from "vitest";
import {
  type AdamParameters,
  type Datum,
  type Device,
  ParameterSet,
  type PolicyBatch,
  type PolicyState,
  slotsByToken,
} from "../../index.js";
import type { TrainingPolicy } from "../../runtime/training/index.js";
import { eachDevice } from "../runtime/support.js";

export const VOCAB = 5;

/** Devices that policies run on. */
export const eachTrainingDevice = (suite: Parameters<typeof eachDevice>[0]) => eachDevice(suite, ["cpu", "emulated", "cuda:0"]);

/** The logits of a token are the row of a table: the smallest policy there is, put together from the building blocks. */
export class TablePolicy implements TrainingPolicy {
  /** Calls in the order in which they came. */
  readonly calls: string[] = [];
  #tokens = new Int32Array(0);

  private constructor(
    readonly device: Device,
    readonly parameters: ParameterSet<"table">,
  ) {}

  static async create(device: Device, vocab = VOCAB): Promise<TablePolicy> {
    const data = Float32Array.from({ length: vocab * vocab }, (_, i) => Math.sin(3 * i + 1));
    return new TablePolicy(device, await ParameterSet.create(device, { table: { shape: [vocab, vocab], data } }));
  }

  get #width(): number {
    return this.parameters.get("table").shape[1] as number;
  }

  async forward({ tokens }: PolicyBatch, { signal }: { readonly signal?: AbortSignal }) {
    this.calls.push("forward");
    const logits = await this.device.buffer({ dtype: "f32", length: tokens.length * this.#width });
    const indices = await this.device.buffer(tokens);
    onTestFinished(() => [logits, indices].forEach((buffer) => void buffer.dispose()));
    const { steps } = this.parameters;
    const table = this.parameters.get("table").weight;
    const of = { tokens: indices.memory, table, out: logits.memory, slots: tokens.length, width: this.#width };
    await steps.run(steps.gather(of), signal);
    this.#tokens = Int32Array.from(tokens);
    return { logits };
  }

  async backward(gradLogits: Parameters<TrainingPolicy["backward"]>[0]): Promise<void> {
    this.calls.push("backward");
    if (!("memory" in gradLogits)) throw new Error("the gradient is not where the logits were");
    const { gradient, shape } = this.parameters.get("table");
    const { begin, order } = slotsByToken(this.#tokens, shape[0] as number);
    const [beginAt, orderAt] = [await this.device.buffer(begin), await this.device.buffer(order)];
    const { steps } = this.parameters;
    const of = {
      begin: beginAt.memory,
      order: orderAt.memory,
      d: gradLogits.memory,
      gradient,
      tokens: begin.length - 1,
      width: this.#width,
    };
    await steps.run(steps.gatherTransposed(of));
    for (const buffer of [beginAt, orderAt]) buffer.dispose();
  }

  async optimStep(adam: AdamParameters): Promise<void> {
    this.calls.push("optimStep");
    await this.parameters.optimStep(adam);
  }

  state(): Promise<PolicyState> {
    return this.parameters.state();
  }

  load(state: PolicyState): Promise<void> {
    return this.parameters.load(state);
  }
}

/** Two data with what `ppo` takes. Fresh arrays every time. */
export function data(): Datum[] {
  return [
    { modelInput: [0, 1, 2], lossFnInputs: { target_tokens: [1, 2, 3], logprobs: [-1, -0.5, -2], advantages: [1, -0.5, 2] } },
    { modelInput: [4, 0], lossFnInputs: { target_tokens: [4, 4], logprobs: [-0.25, -1.5], advantages: [-1, 0.75] } },
  ];
}

/** The same data with the targets alone. */
export function targetsOnly(): Datum[] {
  return data().map(({ modelInput, lossFnInputs: { target_tokens } }) => ({ modelInput, lossFnInputs: { target_tokens } }));
}

/** Every bit that training changes: gathered gradients, weights, moments, step. */
export async function everyBit({ parameters }: { readonly parameters: ParameterSet<string> }): Promise<string> {
  const state = await parameters.state();
  const tensors = { ...(await parameters.gradients()), ...state.tensors };
  const bits = Object.entries(tensors).map(([name, { data: values }]) => [name, Buffer.from(values.buffer).toString("hex")]);
  return JSON.stringify([state.step, bits]);
}

/** Small numbers that look random and are the same every time. */
export function noise(length: number, seed = 1): Float32Array {
  return Float32Array.from({ length }, (_, i) => {
    const x = Math.sin(12.9898 * (i + 1) + 78.233 * seed) * 43758.5453;
    return 2 * (x - Math.floor(x)) - 1;
  });
}
