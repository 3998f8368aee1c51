/** The data that is measured on, the same in every run: rows are made on the device, numbers per token here. */
import type { LossDefinition } from "../dsl/index.js";
import type { Device, DeviceBuffer, LossInputs } from "../runtime/devices/device.js";
import type { Shape, Work } from "./shapes.js";
import { BenchSteps, copyOf, rowOf } from "./steps.js";

/** Seeds of what is made on the device; peers make the same of them. */
export const SEEDS = { logits: 1, teacher_logits: 2, hidden: 3, head: 4 } as const;

/** Numbers per token, by the names that losses know them under. */
export interface TokenData {
  readonly target_tokens: Int32Array;
  /** Of a sampler near the policy, nats. */
  readonly logprobs: Float32Array;
  readonly advantages: Float32Array;
  /** 0 for the first half of each sequence, else 1. */
  readonly weights: Float32Array;
}

interface BatchMemory {
  readonly logits: DeviceBuffer;
  readonly gradient: DeviceBuffer;
  readonly teacher_logits?: DeviceBuffer;
}

export class Batch {
  private constructor(
    readonly device: Device,
    readonly steps: BenchSteps,
    readonly shape: Pick<Shape, "tokens" | "vocab" | "dtype">,
    readonly lengths: readonly number[],
    readonly perToken: TokenData,
    /** The token data on the device. */
    private readonly prepared: Readonly<Record<keyof TokenData, DeviceBuffer>>,
    /** `logits` and `teacher_logits` are never written again; calls overwrite `gradient`, where the logits are laid down anew. */
    readonly rows: BatchMemory,
  ) {}

  /** `teacher`: with rows of a teacher, too. */
  static async make(device: Device, shape: Omit<Shape, "work" | "peers">, { teacher = false } = {}): Promise<Batch> {
    const made: DeviceBuffer[] = [];
    const keep = async (buffer: Promise<DeviceBuffer>) => {
      made.push(await buffer);
      return buffer;
    };
    try {
      return await Batch.#make(device, shape, teacher, keep);
    } catch (error) {
      // The partial allocation is freed, so that the next shape has room.
      for (const buffer of made) buffer.dispose();
      throw error;
    }
  }

  static async #make(
    device: Device,
    { tokens, vocab, length, dtype }: Omit<Shape, "work" | "peers">,
    teacher: boolean,
    keep: (buffer: Promise<DeviceBuffer>) => Promise<DeviceBuffer>,
  ): Promise<Batch> {
    const steps = await BenchSteps.load(device, dtype);
    const rows = async (seed?: number) => {
      const buffer = await keep(device.buffer({ dtype, length: tokens * vocab }));
      if (seed !== undefined) await steps.native.run([steps.numbers(buffer.memory, buffer.length, seed)]);
      return buffer;
    };
    const [logits, gradient] = [await rows(SEEDS.logits), await rows()];
    const { uniform, normal } = randomFrom(1);
    const target_tokens = Int32Array.from({ length: tokens }, () => Math.floor(uniform() * vocab));
    const targets = await keep(device.buffer(target_tokens));
    const picked = await keep(device.buffer({ dtype: "f32", length: tokens }));
    const memories = { logits: logits.memory, targets: targets.memory, to: picked.memory };
    await steps.native.run([steps.pickTargets({ ...memories, tokens, vocab })]);
    // The logarithm of the mean of e^z is about 1.5 for logits of this spread.
    const logprobs = Float32Array.from(await picked.read(), (z) => z - Math.log(vocab) - 1.5 + 0.2 * normal());
    picked.dispose();
    const advantages = Float32Array.from({ length: tokens }, normal);
    const weights = Float32Array.from({ length: tokens }, (_, t) => Number(2 * (t % length) >= length));
    const prepared = {
      target_tokens: targets,
      logprobs: await keep(device.buffer(logprobs)),
      advantages: await keep(device.buffer(advantages)),
      weights: await keep(device.buffer(weights)),
    };
    return new Batch(
      device,
      steps,
      { tokens, vocab, dtype },
      Array.from({ length: tokens / length }, () => length),
      { target_tokens, logprobs, advantages, weights },
      prepared,
      { logits, gradient, ...(teacher ? { teacher_logits: await rows(SEEDS.teacher_logits) } : {}) },
    );
  }

  /** Bytes of the rows of logits. */
  get bytes(): number {
    return this.rows.logits.byteLength;
  }

  /** Puts the logits where the next call overwrites them. */
  async layDown(): Promise<void> {
    await this.steps.native.run([copyOf(this.rows.logits.memory, this.rows.gradient.memory, this.bytes)]);
  }

  /** Inputs of a call in place, all of them on the device. Inputs that the loss does not declare are an error. */
  inputsOf(loss: LossDefinition, { masked }: Pick<Work, "masked">): LossInputs {
    const { target_tokens, weights, ...others } = this.prepared;
    const declared = Object.entries({ ...others, teacher_logits: this.rows.teacher_logits }).filter(
      ([name]) => name in loss.inputs,
    );
    return {
      lengths: this.lengths,
      logits: this.rows.gradient,
      target_tokens,
      ...(masked ? { weights } : {}),
      ...Object.fromEntries(declared),
    };
  }

  /** The row of a token, as numbers. */
  async row(of: keyof BatchMemory, token: number): Promise<Float64Array> {
    const rows = this.rows[of];
    if (!rows) throw new RangeError(`this batch has no ${of}`);
    return rowOf(this.steps.native, rows, token, this.shape.vocab);
  }

  [Symbol.dispose](): void {
    for (const buffer of [...Object.values(this.prepared), ...Object.values(this.rows)]) buffer.dispose();
  }
}

/** Numbers from a seed: in [0, 1), and around 0 like those of a normal distribution of deviation √⅓. */
export function randomFrom(seed: number): { uniform: () => number; normal: () => number } {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return { uniform, normal: () => uniform() + uniform() + uniform() + uniform() - 2 };
}
