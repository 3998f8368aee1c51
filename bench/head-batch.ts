/** Hidden states and a head, made on the device, and the three matrix products of every loss from them. */
import type { LossDefinition } from "../dsl/index.js";
import { cross_entropy } from "../losses/index.js";
import type { Command, Matrix } from "../runtime/addon/native.js";
import type { Device, DeviceBuffer, LossInputs, LossResult } from "../runtime/devices/device.js";
import { randomFrom, SEEDS, type TokenData } from "./batch.js";
import type { HeadShape } from "./shapes.js";
import { BenchSteps, LOGITS_SCALE } from "./steps.js";

export type HeadTokens = Omit<TokenData, "weights">;

/** With hidden states that spread as `LOGITS_SCALE` has it, it lets the logits, sums of `width` products, spread so, too. */
export function headScaleOf(width: number): number {
  return Math.fround(Math.sqrt(3 / width));
}

export class HeadBatch {
  private constructor(
    readonly device: Device,
    readonly steps: BenchSteps,
    readonly shape: Pick<HeadShape, "tokens" | "width" | "vocab" | "dtype">,
    readonly lengths: readonly number[],
    readonly perToken: HeadTokens,
    readonly hidden: DeviceBuffer,
    readonly head: DeviceBuffer,
  ) {}

  /** `perToken`: numbers to take; else they are made, by a call. */
  static async make(device: Device, shape: HeadShape, perToken?: HeadTokens): Promise<HeadBatch> {
    const { tokens, width, vocab, length, dtype } = shape;
    const steps = await BenchSteps.load(device, dtype);
    const made: DeviceBuffer[] = [];
    const matrix = async (entries: number, seed: number, scale: number) => {
      const buffer = await device.buffer({ dtype, length: entries });
      made.push(buffer);
      await steps.native.run([steps.numbers(buffer.memory, entries, seed, scale)]);
      return buffer;
    };
    try {
      const hidden = await matrix(tokens * width, SEEDS.hidden, LOGITS_SCALE);
      const head = await matrix(vocab * width, SEEDS.head, headScaleOf(width));
      const lengths = Array.from({ length: tokens / length }, () => length);
      const given = perToken ?? (await tokensOf(device, shape, { lengths, hidden, head }));
      return new HeadBatch(device, steps, { tokens, width, vocab, dtype }, lengths, given, hidden, head);
    } catch (error) {
      // The partial allocation is freed, so that the next shape has room.
      for (const buffer of made) buffer.dispose();
      throw error;
    }
  }

  /** Numbers per token that a loss takes, on the host: they are small beside all else. */
  tokensOf(loss: LossDefinition): LossInputs {
    const { target_tokens, ...others } = this.perToken;
    const declared = Object.entries(others).filter(([name]) => name in loss.inputs);
    return { lengths: this.lengths, target_tokens, ...Object.fromEntries(declared) };
  }

  inputsOf(loss: LossDefinition): LossInputs {
    return { ...this.tokensOf(loss), hidden: this.hidden, head: this.head };
  }

  /** Logits, then the gradients of head and hidden states from what lies in the logits' place by then. */
  products(logits: DeviceBuffer, gradHidden: DeviceBuffer, gradHead: DeviceBuffer): [Command, Command, Command] {
    const { tokens, width, vocab, dtype } = this.shape;
    const matrix = ({ memory }: DeviceBuffer): Matrix => ({ memory, offset: 0, dtype });
    const product = { kind: "matmul", transposeA: false, transposeB: false, alpha: 1, beta: 0 } as const;
    const [a, hidden, head] = [matrix(logits), matrix(this.hidden), matrix(this.head)];
    return [
      { ...product, a: hidden, b: head, c: a, m: tokens, n: vocab, k: width, transposeB: true },
      { ...product, a, b: hidden, c: matrix(gradHead), m: vocab, n: width, k: tokens, transposeA: true },
      { ...product, a, b: head, c: matrix(gradHidden), m: tokens, n: width, k: vocab },
    ];
  }

  [Symbol.dispose](): void {
    this.hidden.dispose();
    this.head.dispose();
  }
}

/** Numbers per token; the sampler's logprobs are near those that the policy has. */
async function tokensOf(device: Device, { tokens, vocab, dtype }: HeadShape, given: LossInputs): Promise<HeadTokens> {
  const { uniform, normal } = randomFrom(1);
  const target_tokens = Int32Array.from({ length: tokens }, () => Math.floor(uniform() * vocab));
  const compiled = await device.compile<LossDefinition>(cross_entropy, { dtype, vocab });
  const found = await compiled.forwardBackward({ ...given, target_tokens });
  disposeGradients(found);
  const logprobs = Float32Array.from(found.logprobs as Float32Array, (logprob) => logprob + 0.2 * normal());
  return { target_tokens, logprobs, advantages: Float32Array.from({ length: tokens }, normal) };
}

/** Frees the gradients that a call from device buffers made. */
export function disposeGradients({ gradHidden, gradHead }: LossResult): void {
  for (const buffer of [gradHidden, gradHead] as DeviceBuffer[]) buffer.dispose();
}
