/**
 * A small neural language model: the last few characters, each a learned vector, side by side; one layer of tanh; a head that makes the logits of the
 * next character of it, which is left to the loss. Its matrix products are the machine's BLAS (cuBLAS on a GPU), everything else are lossc's training
 * steps, so that it runs on every device that lossc opens.
 */
import {
  type AdamParameters,
  type Device,
  type DeviceBuffer,
  LosscError,
  ParameterSet,
  type PolicyBatch,
  type PolicyHidden,
  type PolicyState,
  slotsByToken,
  type Tensor,
  type TrainingPolicy,
  Workspace,
} from "lossc";
import type { Random } from "./random.js";

export interface ModelShape {
  readonly vocab: number;
  /** Characters that the model sees. */
  readonly context: number;
  /** Numbers in the vector of a character. */
  readonly width: number;
  readonly hidden: number;
}

type Layer = "embedding" | "hidden.weight" | "hidden.bias" | "head";
type Gradient = Parameters<TrainingPolicy["backward"]>[0];
type Memory = DeviceBuffer["memory"];

export class NgramModel implements TrainingPolicy {
  readonly #workspace: Workspace;
  readonly #sampling: Workspace;
  #hidden: DeviceBuffer | null = null;
  /** The contexts of the last forward, which backward needs. */
  #contexts: Int32Array = new Int32Array(0);

  private constructor(
    readonly shape: ModelShape,
    readonly parameters: ParameterSet<Layer>,
  ) {
    this.#workspace = new Workspace(parameters.steps.native);
    this.#sampling = new Workspace(parameters.steps.native);
  }

  static async create(device: Device, shape: ModelShape, random: Random): Promise<NgramModel> {
    const { vocab, context, width, hidden } = shape;
    const normal = (rows: number, columns: number, deviation: number): Tensor => ({
      shape: [rows, columns],
      data: Float32Array.from({ length: rows * columns }, () => deviation * random.normal()),
    });
    const zero = (length: number): Tensor => ({ shape: [length], data: new Float32Array(length) });
    const parameters = await ParameterSet.create<Layer>(device, {
      // The last row stands for the places before a sequence begins.
      embedding: normal(vocab + 1, width, 0.5),
      "hidden.weight": normal(context * width, hidden, 1 / Math.sqrt(context * width)),
      "hidden.bias": zero(hidden),
      // A row for each character, as lossc takes it.
      head: normal(vocab, hidden, 0.5 / Math.sqrt(hidden)),
    });
    return new NgramModel(shape, parameters);
  }

  async forward(batch: PolicyBatch, { signal }: { readonly signal?: AbortSignal }): Promise<PolicyHidden> {
    const contexts = this.#contextsOf(batch);
    const hidden = await this.#hiddenFor(batch.tokens.length);
    await this.parameters.steps.run(this.#layers(contexts, this.#workspace, hidden.memory), signal);
    this.#contexts = contexts;
    // lossc makes the logits of a few tokens at a time.
    return { hidden, head: this.parameters.get("head").weights };
  }

  async backward(gradHidden: Gradient, gradHead?: Gradient): Promise<void> {
    if (!("memory" in gradHidden) || !gradHead || !("memory" in gradHead) || !this.#hidden)
      throw new LosscError("INPUT_DTYPE", "the model wants the gradients where its hidden states and head were: on the device");
    const { vocab, context, width, hidden } = this.shape;
    const { steps } = this.parameters;
    const { begin, order } = slotsByToken(this.#contexts, vocab + 1);
    const rows = this.#contexts.length / context;
    const slots = this.#contexts.length;
    // All memory is taken before the first gradient is touched: where there is none left, nothing has gathered.
    const [x, dx] = [this.#workspace.take("x", slots * width), this.#workspace.take("dx", slots * width)];
    const [beginAt, orderAt] = [this.#workspace.take("begin", begin.length), this.#workspace.take("order", slots)];
    const [y, dy] = [this.#hidden.memory, gradHidden.memory];
    const { weight, gradient } = { weight: this.#array("weight"), gradient: this.#array("gradient") };
    await steps.run([
      { kind: "write", to: beginAt, offset: 0, from: begin },
      { kind: "write", to: orderAt, offset: 0, from: order },
      ...steps.add({ from: gradHead.memory, to: gradient("head"), length: gradHead.length }),
      ...steps.tanhBackward({ y, d: dy, length: rows * hidden }),
      ...steps.matmul({
        a: x,
        b: dy,
        c: gradient("hidden.weight"),
        m: context * width,
        n: hidden,
        k: rows,
        transposeA: true,
        accumulate: true,
      }),
      ...steps.biasGradient({ d: dy, gradient: gradient("hidden.bias"), rows, width: hidden }),
      ...steps.matmul({ a: dy, b: weight("hidden.weight"), c: dx, m: rows, n: context * width, k: hidden, transposeB: true }),
      ...steps.gatherTransposed({
        begin: beginAt,
        order: orderAt,
        d: dx,
        gradient: gradient("embedding"),
        tokens: vocab + 1,
        width,
      }),
    ]);
  }

  optimStep(adam: AdamParameters): Promise<void> {
    return this.parameters.optimStep(adam);
  }

  state(): Promise<PolicyState> {
    return this.parameters.state();
  }

  load(state: PolicyState): Promise<void> {
    return this.parameters.load(state);
  }

  /** Logits of the character that follows each sequence, row by row: what sampling needs. Does not disturb a forward that awaits its backward. */
  async next(sequences: readonly ArrayLike<number>[]): Promise<Float32Array> {
    const { vocab, context, hidden } = this.shape;
    const contexts = new Int32Array(sequences.length * context);
    sequences.forEach((sequence, i) => {
      for (let back = 1; back <= context; back++) contexts[(i + 1) * context - back] = sequence[sequence.length - back] ?? vocab;
    });
    const rows = sequences.length;
    const logits = new Float32Array(rows * vocab);
    const y = this.#sampling.take("y", rows * hidden);
    const memory = this.#sampling.take("logits", logits.length);
    const { steps } = this.parameters;
    await steps.run([
      ...this.#layers(contexts, this.#sampling, y),
      ...steps.matmul({ a: y, b: this.#array("weight")("head"), c: memory, m: rows, n: vocab, k: hidden, transposeB: true }),
      { kind: "read", from: memory, offset: 0, to: logits },
    ]);
    return logits;
  }

  dispose(): void {
    this.#workspace.dispose();
    this.#sampling.dispose();
    this.#hidden?.dispose();
    this.parameters.dispose();
  }

  /** Hidden states of contexts. */
  #layers(contexts: Int32Array, workspace: Workspace, y: Memory) {
    const { context, width, hidden } = this.shape;
    const { steps } = this.parameters;
    const slots = contexts.length;
    const rows = slots / context;
    const [tokens, x] = [workspace.take("tokens", slots), workspace.take("x", slots * width)];
    const weight = this.#array("weight");
    return [
      { kind: "write", to: tokens, offset: 0, from: contexts } as const,
      ...steps.gather({ tokens, table: weight("embedding"), out: x, slots, width }),
      ...steps.matmul({ a: x, b: weight("hidden.weight"), c: y, m: rows, n: hidden, k: context * width }),
      ...steps.biasTanh({ bias: weight("hidden.bias"), x: y, rows, width: hidden }),
    ];
  }

  #array(part: "weight" | "gradient"): (layer: Layer) => Memory {
    return (layer) => this.parameters.get(layer)[part];
  }

  /** The last characters up to and including each token, within its own sequence. */
  #contextsOf({ tokens, lengths }: PolicyBatch): Int32Array {
    const { vocab, context } = this.shape;
    const contexts = new Int32Array(tokens.length * context).fill(vocab);
    let begin = 0;
    lengths.forEach((length, datum) => {
      for (let t = begin; t < begin + length; t++) {
        const token = tokens[t] as number;
        if (token < 0 || token >= vocab) {
          throw new LosscError(
            "TARGET_OUT_OF_RANGE",
            `data[${datum}].modelInput[${t - begin}] is ${token}, but the model knows the tokens 0 to ${vocab - 1}`,
          );
        }
        const first = Math.max(begin, t - context + 1);
        contexts.set(tokens.subarray(first, t + 1), (t + 1) * context - (t + 1 - first));
      }
      begin += length;
    });
    return contexts;
  }

  /** The loss wants a buffer of exactly the size; batches mostly have the size of the one before. */
  async #hiddenFor(rows: number): Promise<DeviceBuffer> {
    const length = rows * this.shape.hidden;
    if (this.#hidden?.length === length) return this.#hidden;
    this.#hidden?.dispose();
    this.#hidden = null;
    this.#hidden = await this.parameters.device.buffer({ dtype: "f32", length });
    return this.#hidden;
  }
}
