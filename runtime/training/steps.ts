/** The small kernels and matrix products that policies are made of, as commands of a device. */
import { LosscError } from "../../dsl/errors.js";
import { throwIfAborted, whenAborted } from "../abort.js";
import { native } from "../addon.js";
import type { Device, LoadedUnit, UnitArgument } from "../devices/device.js";
import type { Command, Matrix, Memory, NativeDevice } from "../native.js";
import type { AdamFactors, AdamParameters } from "./adam.js";
import { entryPoint, NORM_CHUNK, TRAINING_KERNELS, TRAINING_UNIT, type TrainingKernel } from "./kernels.js";

/** A matrix product in float32, row-major: c (m × n) = op(a) · op(b), added to c with `accumulate`. */
export interface MatrixProduct {
  readonly a: Memory;
  readonly b: Memory;
  readonly c: Memory;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly accumulate?: boolean;
}

/** Rows of `width` numbers that a vector of `width` numbers meets. */
interface Rows {
  readonly rows: number;
  readonly width: number;
}

/**
 * What the layers of a policy are put together from, as commands for {@link TrainingSteps.run}: matrix products by the machine's BLAS, and small kernels that are the
 * same text on every device. Each method yields the commands that it takes, none where there is nothing to do.
 */
export class TrainingSteps {
  private constructor(
    readonly device: Device,
    readonly native: NativeDevice,
    private readonly unit: LoadedUnit,
  ) {}

  /** Compiles the kernels, or takes them from the cache. Throws `DEVICE_NOT_FOUND` on `reference`, which has no addon. */
  static async load(device: Device): Promise<TrainingSteps> {
    if (!device.native) {
      throw new LosscError(
        "DEVICE_NOT_FOUND",
        `policies do not run on "${device.name}": their matrix products need the addon and, on the CPU, a C++ compiler; \`lossc devices\` says what is missing`,
      );
    }
    return new TrainingSteps(device, device.native, await device.loadUnit({ comment: TRAINING_UNIT, kernels: TRAINING_KERNELS }));
  }

  /** Runs the commands in order. */
  async run(program: readonly Command[], signal?: AbortSignal): Promise<void> {
    if (program.length === 0) return;
    if (!signal) return native(() => this.native.run(program));
    throwIfAborted(signal, "The policy");
    const flag = new Int32Array(1);
    const leave = whenAborted(signal, () => Atomics.store(flag, 0, 1));
    try {
      await native(() => this.native.run(program, flag));
    } finally {
      leave();
    }
  }

  matmul({ a, b, c, m, n, k, transposeA = false, transposeB = false, accumulate = false }: MatrixProduct): Command[] {
    if (m === 0 || n === 0) return [];
    const matrix = (memory: Memory): Matrix => ({ memory, offset: 0, dtype: "f32" });
    const operands = { a: matrix(a), b: matrix(b), c: matrix(c) };
    return [{ kind: "matmul", ...operands, m, n, k, transposeA, transposeB, alpha: 1, beta: accumulate ? 1 : 0 }];
  }

  /** out[slot] = table[tokens[slot]], vectors of `width` numbers. Tokens must be rows of the table: nothing checks them here. */
  gather(of: { tokens: Memory; table: Memory; out: Memory; slots: number; width: number }): Command[] {
    return this.#launch("gather", of.slots, [of.tokens, of.table, of.out, { index: of.width }]);
  }

  /** The transpose of {@link TrainingSteps.gather}: gradient[token] += Σ d[slot] over the slots of the token, as {@link slotsByToken} lists them. */
  gatherTransposed(of: { begin: Memory; order: Memory; d: Memory; gradient: Memory; tokens: number; width: number }): Command[] {
    return this.#launch("gatherTransposed", of.tokens * of.width, [of.begin, of.order, of.d, of.gradient, { index: of.width }]);
  }

  /** x += bias, for every row of x. */
  addBias(of: { bias: Memory; x: Memory } & Rows): Command[] {
    return this.#launch("addBias", of.rows * of.width, [of.bias, of.x, { index: of.width }]);
  }

  /** x = tanh(x + bias), for every row of x. */
  biasTanh(of: { bias: Memory; x: Memory } & Rows): Command[] {
    return this.#launch("biasTanh", of.rows * of.width, [of.bias, of.x, { index: of.width }]);
  }

  /** d *= 1 − y², with y what {@link TrainingSteps.biasTanh} made. */
  tanhBackward(of: { y: Memory; d: Memory; length: number }): Command[] {
    return this.#launch("tanhBackward", of.length, [of.y, of.d]);
  }

  /** to += from. */
  add(of: { from: Memory; to: Memory; length: number }): Command[] {
    return this.#launch("add", of.length, [of.from, of.to]);
  }

  /** gradient += Σ over the rows of d. */
  biasGradient(of: { d: Memory; gradient: Memory } & Rows): Command[] {
    if (of.rows === 0) return [];
    return this.#launch("biasGradient", of.width, [of.d, of.gradient, { index: of.rows }, { index: of.width }]);
  }

  /** One step of Adam on one array of weights; its gradient is zero afterwards. */
  adam(
    of: { weight: Memory; gradient: Memory; mean: Memory; square: Memory; length: number },
    by: Pick<AdamParameters, "beta1" | "beta2" | "eps"> & AdamFactors & { readonly gradientScale: number },
  ): Command[] {
    const scalars = [by.beta1, by.beta2, by.eps, by.decay, by.stepSize, by.squareScale, by.gradientScale].map((scalar) => ({
      scalar,
    }));
    return this.#launch("adam", of.length, [of.weight, of.gradient, of.mean, of.square, ...scalars]);
  }

  /** Sums of squares of x, one for every {@link NORM_CHUNK} numbers, to be added up. `offset` into `out` is in bytes. */
  squares(of: { x: Memory; length: number; out: Memory; offset: number }): Command[] {
    return this.#launch("squares", Math.ceil(of.length / NORM_CHUNK), [
      of.x,
      { memory: of.out, offset: of.offset },
      { index: of.length },
    ]);
  }

  #launch(kernel: TrainingKernel, elements: number, fields: readonly UnitArgument[]): Command[] {
    if (elements === 0) return [];
    // Columns are found with 32-bit arithmetic, which is several times as fast.
    if (elements >= 2 ** 32)
      throw new LosscError(
        "INPUT_LENGTH",
        `${elements} elements are more than a step of a policy can count; give fewer tokens per call`,
      );
    return [this.unit.launch(entryPoint(kernel), elements, [{ index: elements }, ...fields])];
  }
}

/** For every token of a vocabulary the slots that hold it, in order: `order[begin[token] .. begin[token + 1])`. */
export function slotsByToken(tokens: Int32Array, vocab: number): { begin: Int32Array; order: Int32Array } {
  const begin = new Int32Array(vocab + 1);
  for (const token of tokens) begin[token + 1] = (begin[token + 1] as number) + 1;
  for (let token = 0; token < vocab; token++) begin[token + 1] = (begin[token + 1] as number) + (begin[token] as number);
  const next = begin.slice();
  const order = new Int32Array(tokens.length);
  tokens.forEach((token, slot) => {
    const place = next[token] as number;
    order[place] = slot;
    next[token] = place + 1;
  });
  return { begin, order };
}
