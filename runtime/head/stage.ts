/** The head of one call: cuts the batch into chunks, asks for memory, and writes the commands that make logits and take their gradient on. */

import type { Plan } from "../../codegen/loss-plan.js";
import type { LogitsDtype } from "../../codegen/loss-program.js";
import { type HeadPlan, headPlanOf } from "../../codegen/schedule/head.js";
import type { PlanKernel } from "../../codegen/schedule/plan.js";
import type { Command, Matrix } from "../addon/native.js";
import type { Call } from "../compiled/call.js";
import type { Place } from "../compiled/region.js";
import type { LaunchArgument, LoadedModule } from "../devices/device.js";
import { bytesOf, type TypedArray } from "../devices/dtypes.js";
import { elementLaunch } from "../devices/launch.js";
import type { Source } from "../inputs/numbers.js";
import type { CheckedHead } from "./check.js";
import { type Chunk, type Chunks, cutChunks } from "./chunks.js";
import type { HeadKernel } from "./kernels.js";
import type { RowMap } from "./row-map.js";
import type { RowSteps } from "./row-steps.js";

/** Memory that the stage needs beside the plan's, whose ids are from 0 up. */
export const HEAD = {
  hidden: -1,
  head: -2,
  gradHidden: -3,
  gradHead: -4,
  /** The row of each token. */
  rows: -5,
  /** The tokens that have a row. */
  tokens: -6,
  /** The hidden states of a chunk's rows. */
  states: -7,
  /** The gradient of the gathered hidden states. */
  gradGathered: -8,
} as const;

/** Requests for memory of one call. */
export interface CallMemory {
  /** Numbers of the caller, to be read in the given dtype. */
  given(id: number, source: Source, dtype: LogitsDtype): void;
  /** Host numbers, to be read. */
  host(id: number, array: TypedArray): void;
  scratch(id: number, bytes: number): void;
  /** A gradient of numbers of the caller: written over them, to new device memory, or to an array. */
  gradient(id: number, dtype: LogitsDtype, of: Source, onto: boolean): void;
  place(id: number): Place;
}

/** The destination of the head's gradient: new memory, the caller's numbers directly, or separate memory that is added to them in the end. */
export type HeadGradient = "make" | "add" | "gather";

/** The launches of some of the plan's kernels, over all of their elements or those of a chunk. */
export type Launches = (kernels: readonly PlanKernel[], range?: Chunk["range"]) => readonly Command[];

/** Compiled kernels. */
export interface HeadSteps {
  readonly module: LoadedModule;
  readonly rows: RowSteps;
}

/** Smallest default size of a chunk. */
const LEAST_BYTES = 4 * 1024 * 1024;
/** By default a chunk takes 1 / SHARE of all logits at most. With the scratch of the products the total then stays below an eighth. */
const SHARE = 10;
const INDEX_BYTES = bytesOf("i32");

export class HeadStage {
  readonly plan: HeadPlan;
  readonly chunks: Chunks;
  /** Rows of the largest chunk. */
  readonly most: number;
  readonly #head: CheckedHead;
  readonly #dtype: LogitsDtype;
  /** The chunk whose logits are in memory. */
  #present: Chunk | null = null;
  /** Whether the head's gradient already holds numbers, to which products are added. */
  #begun: boolean;

  /** `sum` is the dtype of the head's gradient, `way` where it goes. */
  constructor(
    private readonly call: Call,
    plan: Plan,
    private readonly rows: RowMap,
    private readonly steps: HeadSteps,
    private readonly sum: LogitsDtype,
    private readonly way: HeadGradient,
  ) {
    const { inputs, shape, options } = call;
    this.#head = inputs.head as CheckedHead;
    this.#dtype = plan.logits as LogitsDtype;
    this.#begun = way === "add";
    this.plan = headPlanOf(plan);
    const logits = this.bytes(shape.vocab);
    const states = rows.present ? 2 : 1;
    const budget = options.maxBytes ?? Math.max(LEAST_BYTES, (shape.tokens * logits) / SHARE);
    const most = Math.max(1, Math.floor(budget / (logits + states * this.bytes(this.#head.width))));
    this.chunks = cutChunks(shape, this.plan.waitsFor, most, rows.before);
    this.most = this.chunks.list.reduce((greatest, { rows }) => Math.max(greatest, rows), 0);
  }

  ask(memory: CallMemory): void {
    const { call, rows } = this;
    const { hidden, head, width } = this.#head;
    memory.given(HEAD.hidden, hidden, this.#dtype);
    memory.given(HEAD.head, head, this.#dtype);
    memory.gradient(HEAD.gradHidden, this.#dtype, hidden, call.options.inPlace);
    if (this.way === "gather") memory.scratch(HEAD.gradHead, head.length * bytesOf(this.sum));
    else memory.gradient(HEAD.gradHead, this.sum, call.gradHead ?? head, this.way === "add");
    memory.scratch(HEAD.states, this.most * this.bytes(width));
    if (!rows.present) return;
    memory.host(HEAD.tokens, rows.present);
    memory.host(HEAD.rows, rows.within(this.chunks));
    memory.scratch(HEAD.gradGathered, this.most * this.bytes(width));
  }

  /** Everything between the writes and the reads of the call. */
  commands(memory: CallMemory, launches: Launches, logits: Place, status: Place): Command[] {
    const { before, during, after } = this.plan;
    const { list, closed } = this.chunks;
    const program: Command[] = [...launches(before)];
    const visit = (chunk: Chunk, kernels: readonly PlanKernel[], last: boolean) => {
      if (chunk !== this.#present) program.push(...this.logits(chunk, memory, logits));
      this.#present = chunk;
      program.push(...launches(kernels, chunk.range));
      if (last) program.push(...this.gradients(chunk, memory, logits));
    };
    if (closed) for (const chunk of list) visit(chunk, during, true);
    else {
      const sweeps = during.filter(({ kind }) => kind === "sweep");
      let order = [...list];
      for (const kernel of during) {
        if (kernel.kind === "step") {
          program.push(...launches([kernel]));
          continue;
        }
        for (const chunk of order) visit(chunk, [kernel], kernel === sweeps.at(-1));
        // The order is reversed, since the logits of the last chunk are still in memory.
        order = order.reverse();
      }
    }
    program.push(...launches(after), ...(this.call.options.propagate ? [] : this.checks(memory, status)));
    return program;
  }

  /** Adds the separate gradient of the head to the caller's numbers, once the call has succeeded. */
  settle(memory: Pick<CallMemory, "place">): Command[] {
    const { gradHead } = this.call;
    if (this.way !== "gather" || !gradHead) return [];
    const to = gradHead.kind === "device" ? gradHead.buffer.memory : gradHead.array;
    return this.launch("add", gradHead.length, [memory.place(HEAD.gradHead), to]);
  }

  private logits(chunk: Chunk, memory: CallMemory, logits: Place): Command[] {
    const { width, vocab } = this.#head;
    if (chunk.rows === 0) return [];
    const { first } = chunk.range("token");
    const gather = this.rows.present ? this.gather(memory, this.rows.before[first] as number, chunk.rows) : [];
    const a = this.rows.present ? this.matrix(memory.place(HEAD.states)) : this.matrix(memory.place(HEAD.hidden), first * width);
    const c = this.matrix(logits);
    const b = this.matrix(memory.place(HEAD.head));
    return [...gather, product({ a, b, c, m: chunk.rows, n: vocab, k: width, transposeB: true })];
  }

  private gradients(chunk: Chunk, memory: CallMemory, logits: Place): Command[] {
    const { width, vocab } = this.#head;
    const { first, last } = chunk.range("token");
    const g = chunk.rows > 0 ? this.matrix(logits) : null;
    const commands: Command[] = [];
    const sum = this.matrix(memory.place(HEAD.gradHead), 0, this.sum);
    // The head's gradient comes first, since the gradient of hidden states may overwrite them.
    if (g) {
      const states = this.matrix(memory.place(HEAD.states));
      const given = this.rows.present ? states : this.matrix(memory.place(HEAD.hidden), first * width);
      const beta = this.#begun ? 1 : 0;
      commands.push(
        ...this.launch("zeroNonFinite", chunk.rows * width, [given, states]),
        product({ a: g, b: states, c: sum, m: vocab, n: width, k: chunk.rows, transposeA: true, beta }),
      );
    } else if (!this.#begun) {
      commands.push({ kind: "fill", to: sum.memory, offset: sum.offset, bytes: vocab * width * bytesOf(this.sum), value: 0 });
    }
    this.#begun = true;
    const out = this.matrix(memory.place(HEAD.gradHidden), first * width);
    const compact = this.rows.present && g ? this.matrix(memory.place(HEAD.gradGathered)) : null;
    if (g) {
      const b = this.matrix(memory.place(HEAD.head));
      commands.push(product({ a: g, b, c: compact ?? out, m: chunk.rows, n: width, k: vocab }));
    }
    // Where no token of the chunk has a row, nothing is read: all become zeros.
    if (this.rows.present) commands.push(...this.copyRows(memory.place(HEAD.rows), first, compact ?? out, out, last - first));
    return commands;
  }

  /** Gathers the hidden states of the tokens at `first` and after it in the list. */
  private gather(memory: CallMemory, first: number, count: number): Command[] {
    const [from, to] = [this.matrix(memory.place(HEAD.hidden)), this.matrix(memory.place(HEAD.states))];
    return this.copyRows(memory.place(HEAD.tokens), first, from, to, count);
  }

  private copyRows(list: Place, first: number, from: Matrix, to: Matrix, count: number): Command[] {
    const { memory, offset } = list as NonNullable<Place>;
    const shape = { count, width: this.#head.width, elementBytes: bytesOf(this.#dtype) as 2 | 4 };
    return this.steps.rows.copy({ rows: { memory, offset: offset + first * INDEX_BYTES }, from, to, ...shape });
  }

  /** Products of finite numbers can still be too large. */
  private checks(memory: CallMemory, status: Place): Command[] {
    const { width, vocab } = this.#head;
    const { tokens } = this.call.shape;
    const rest = [status, { index: width }] as const;
    return [
      ...this.launch("checkHidden", tokens * width, [memory.place(HEAD.gradHidden), ...rest]),
      ...this.launch("checkHead", vocab * width, [memory.place(HEAD.gradHead), ...rest]),
    ];
  }

  private launch(kernel: HeadKernel, elements: number, fields: readonly LaunchArgument[]): Command[] {
    return elementLaunch(this.steps.module, kernel, elements, fields);
  }

  /** The matrix that starts at an element. */
  private matrix(place: Place, element = 0, dtype = this.#dtype): Matrix {
    const { memory, offset } = place as NonNullable<Place>;
    return { memory, offset: offset + element * bytesOf(dtype), dtype };
  }

  private bytes(elements: number): number {
    return elements * bytesOf(this.#dtype);
  }
}

type Product = Omit<Command & { readonly kind: "matmul" }, "kind" | "transposeA" | "transposeB" | "alpha" | "beta"> &
  Partial<Pick<Command & { readonly kind: "matmul" }, "transposeA" | "transposeB" | "beta">>;

function product({ transposeA = false, transposeB = false, beta = 0, ...operands }: Product): Command {
  return { kind: "matmul", ...operands, transposeA, transposeB, alpha: 1, beta };
}
