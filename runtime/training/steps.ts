/** The small kernels and matrix products that policies are made of, as commands of a device. */
import { LosscError } from "../../dsl/errors.js";
import { runCommands } from "../addon/addon.js";
import type { Command, Matrix, Memory, NativeDevice } from "../addon/native.js";
import type { Device, LaunchArgument, LoadedModule } from "../devices/device.js";
import { checkCountable, elementLaunch } from "../devices/launch.js";
import type { AdamFactors, AdamParameters } from "./adam.js";
import { NORM_CHUNK, TRAINING_MODULE, type TrainingKernel } from "./kernels.js";
import { checkNumbers, checkTokens, numbersIn, RangeStatus } from "./ranges.js";

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

/** A matrix of `rows` × `width` numbers. */
interface MatrixSize {
  readonly rows: number;
  readonly width: number;
}

/**
 * The building blocks of a policy's layers, as commands for {@link TrainingSteps.run}: matrix products by the machine's BLAS, and small kernels with
 * one text for all devices. Each method returns its commands, none where there is nothing to do.
 */
export class TrainingSteps {
  private constructor(
    readonly device: Device,
    readonly native: NativeDevice,
    private readonly module: LoadedModule,
    private readonly status: RangeStatus,
  ) {}

  /** Compiles the kernels, or takes them from the cache. Throws `DEVICE_NOT_FOUND` on `reference`, which has no addon. */
  static async load(device: Device): Promise<TrainingSteps> {
    if (!device.native) {
      throw new LosscError(
        "DEVICE_NOT_FOUND",
        `policies do not run on "${device.name}": their matrix products need the addon and, on the CPU, a C++ compiler; \`lossc devices\` says what is missing`,
      );
    }
    const module = await device.loadModule(TRAINING_MODULE);
    return new TrainingSteps(device, device.native, module, new RangeStatus(device.native));
  }

  /**
   * Runs the commands in order.
   *
   * @throws LosscError `TARGET_OUT_OF_RANGE` where a {@link TrainingSteps.gather} or its transpose met an index outside of its memory: nothing was
   *   read there, the other commands have run. `ABORTED`, `DISPOSED`, `DEVICE_…`.
   */
  async run(program: readonly Command[], signal?: AbortSignal): Promise<void> {
    await this.status.watch(program, (watched) => runCommands(this.native, watched, signal, "The policy"));
  }

  matmul({ a, b, c, m, n, k, transposeA = false, transposeB = false, accumulate = false }: MatrixProduct): Command[] {
    if (m === 0 || n === 0) return [];
    const matrix = (memory: Memory): Matrix => ({ memory, offset: 0, dtype: "f32" });
    const operands = { a: matrix(a), b: matrix(b), c: matrix(c) };
    return [{ kind: "matmul", ...operands, m, n, k, transposeA, transposeB, alpha: 1, beta: accumulate ? 1 : 0 }];
  }

  /**
   * out[slot] = table[tokens[slot]], vectors of `width` float32. `tokens` are int32; `rows` is how many the table has, left out: as many as its
   * memory holds.
   *
   * @throws LosscError `TARGET_OUT_OF_RANGE` for a token that is no row of the table: here where the tokens lie in host memory, else from {@link
   *   TrainingSteps.run}, which gathers zeros for it. `INPUT_LENGTH` where a memory is too small.
   */
  gather(of: { tokens: Memory; table: Memory; out: Memory; slots: number; width: number; rows?: number }): Command[] {
    const { tokens, table, out, slots, width } = of;
    if (width === 0) return [];
    const rows = of.rows ?? Math.floor(numbersIn(table) / width);
    const memories = { tokens: [tokens, slots], table: [table, rows * width], out: [out, slots * width] } as const;
    const commands = this.#launch("gather", slots, memories, [{ index: width }, { index: rows }, this.status.memory]);
    checkTokens(tokens, slots, rows);
    return this.status.watched(commands);
  }

  /**
   * The transpose of {@link TrainingSteps.gather}: gradient[token] += Σ d[slot] over the slots of the token, as {@link slotsByToken} lists them.
   *
   * @throws LosscError `INPUT_LENGTH` where a memory is too small; {@link TrainingSteps.run} throws `TARGET_OUT_OF_RANGE` for lists that leave
   *   `order` or `d`.
   */
  gatherTransposed(of: { begin: Memory; order: Memory; d: Memory; gradient: Memory; tokens: number; width: number }): Command[] {
    const { begin, order, d, gradient, tokens, width } = of;
    if (width === 0) return [];
    const [slots, vectors] = [numbersIn(order), Math.floor(numbersIn(d) / width)];
    const memories = { begin: [begin, tokens + 1], order: [order, 0], d: [d, 0], gradient: [gradient, tokens * width] } as const;
    const sizes = [width, slots, vectors].map((index) => ({ index }));
    return this.status.watched(this.#launch("gatherTransposed", tokens * width, memories, [...sizes, this.status.memory]));
  }

  /** x += bias, for every row of x. */
  addBias({ bias, x, rows, width }: { bias: Memory; x: Memory } & MatrixSize): Command[] {
    return this.#launch("addBias", rows * width, { bias: [bias, width], x: [x, rows * width] }, [{ index: width }]);
  }

  /** x = tanh(x + bias), for every row of x. */
  biasTanh({ bias, x, rows, width }: { bias: Memory; x: Memory } & MatrixSize): Command[] {
    return this.#launch("biasTanh", rows * width, { bias: [bias, width], x: [x, rows * width] }, [{ index: width }]);
  }

  /** d *= 1 − y², with y what {@link TrainingSteps.biasTanh} made. */
  tanhBackward({ y, d, length }: { y: Memory; d: Memory; length: number }): Command[] {
    return this.#launch("tanhBackward", length, { y: [y, length], d: [d, length] });
  }

  /** to += from. */
  add({ from, to, length }: { from: Memory; to: Memory; length: number }): Command[] {
    return this.#launch("add", length, { from: [from, length], to: [to, length] });
  }

  /** gradient += Σ over the rows of d. */
  biasGradient({ d, gradient, rows, width }: { d: Memory; gradient: Memory } & MatrixSize): Command[] {
    if (rows === 0) return [];
    const memories = { d: [d, rows * width], gradient: [gradient, width] } as const;
    return this.#launch("biasGradient", width, memories, [{ index: rows }, { index: width }]);
  }

  /** One step of Adam on one array of weights; its gradient is zero afterwards. */
  adam(
    of: { weight: Memory; gradient: Memory; mean: Memory; square: Memory; length: number },
    by: Pick<AdamParameters, "beta1" | "beta2" | "eps"> & AdamFactors & { readonly gradientScale: number },
  ): Command[] {
    const scalars = [by.beta1, by.beta2, by.eps, by.decay, by.stepSize, by.squareScale, by.gradientScale].map((scalar) => ({
      scalar,
    }));
    const { weight, gradient, mean, square, length } = of;
    const memories = {
      weight: [weight, length],
      gradient: [gradient, length],
      mean: [mean, length],
      square: [square, length],
    } as const;
    return this.#launch("adam", length, memories, scalars);
  }

  /**
   * Sums of squares of x, one for every {@link NORM_CHUNK} numbers, to be added up. `offset` into `out` is in bytes. With `dtype` f64, which holds
   * the square of every float32, they are added and stored so; the default is f32.
   */
  squares(of: { x: Memory; length: number; out: Memory; offset: number; dtype?: "f32" | "f64" }): Command[] {
    const { x, length, out, offset, dtype } = of;
    const chunks = Math.ceil(length / NORM_CHUNK);
    const [kernel, numbers] = dtype === "f64" ? (["squares64", 2 * chunks] as const) : (["squares", chunks] as const);
    return this.#launch(kernel, chunks, { x: [x, length], out: [out, numbers, offset] }, [{ index: length }]);
  }

  /** `memories`: in the order of the kernel's fields, with the numbers of four bytes that it visits in each, from an offset in bytes on. */
  #launch(
    kernel: TrainingKernel,
    elements: number,
    memories: Readonly<Record<string, readonly [memory: Memory, numbers: number, offset?: number]>>,
    rest: readonly LaunchArgument[] = [],
  ): Command[] {
    if (elements === 0) return [];
    checkCountable(`the step ${kernel}`, elements);
    const fields = Object.entries(memories).map(([name, [memory, numbers, offset = 0]]) => {
      checkNumbers(`${name} of ${kernel}`, memory, numbers, offset);
      return { memory, offset };
    });
    return elementLaunch(this.module, kernel, elements, [...fields, ...rest]);
  }
}

/**
 * For every token of a vocabulary the slots that hold it, in order: `order[begin[token] .. begin[token + 1])`.
 *
 * @throws LosscError `TARGET_OUT_OF_RANGE` for a token outside of 0 … vocab − 1.
 */
export function slotsByToken(tokens: Int32Array, vocab: number): { begin: Int32Array; order: Int32Array } {
  checkTokens(tokens, tokens.length, vocab);
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
