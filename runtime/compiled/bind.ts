/** Gives every buffer of a plan its memory for one call, and writes the program that the addon runs. */

import type { Plan } from "../../codegen/loss-plan.js";
import type { BufferDtype, PlanBuffer } from "../../codegen/schedule/plan.js";
import type { Command, NativeBuffer } from "../addon/native.js";
import type { OwnedBuffer } from "../devices/buffer.js";
import { bytesOf, convert, makeArray, type TypedArray, viewOf } from "../devices/dtypes.js";
import { type CallMemory, HEAD, type HeadStage, type Launches } from "../head/stage.js";
import type { Source } from "../inputs/numbers.js";
import { extentOf, structureArray } from "../inputs/structure.js";
import type { Arena } from "./arena.js";
import type { Call } from "./call.js";
import type { Executable } from "./executable.js";
import { type Piece, type Place, Region } from "./region.js";

/** Memory of one call that its results are taken from. */
export interface Binding {
  readonly program: readonly Command[];
  readonly launches: number;
  /** A result once the program has run, in memory that the next call uses again. */
  view(buffer: number): TypedArray;
  /** The same in memory of its own, which the caller may keep. */
  kept(buffer: number): TypedArray;
  /** A gradient where the caller wants it. */
  gradient(buffer: number): TypedArray | OwnedBuffer;
  /** Where it lies on the device. */
  place(buffer: number): Place;
  /** Frees what was made for the caller: the call has failed. */
  discard(): void;
}

/** Host arrays of up to so many bytes are gathered and copied to the device at once: moving them on the host costs less than a copy each. */
const SMALL = 64 * 1024;

/** Makes memory for a gradient that stays on the device. */
export type MakeBuffer = (dtype: PlanBuffer["dtype"], length: number) => OwnedBuffer;

/** `head` where logits are made of hidden states as they are needed. */
export function bind(
  call: Call,
  executable: Executable,
  arena: Arena,
  makeBuffer: MakeBuffer,
  head: HeadStage | null = null,
): Binding {
  return new Binder(call, executable, arena, makeBuffer, head).finish();
}

class Binder implements CallMemory {
  readonly #plan: Plan;
  readonly #places = new Map<number, Place>();
  readonly #pieces = new Map<number, Piece>();
  readonly #counters = new Region();
  // The slab, in this order. What is set to 0 lies beside the results, so that one fill does for both.
  readonly #staged = new Region();
  readonly #scratch = new Region();
  readonly #cleared = new Region();
  /** Small results, which are copied to the arena's host memory at once; where kernels reach host memory they lie there from the beginning. */
  readonly #results = new Region();
  /** Where those of them end that are set to 0 before the launches, and those that are set to 255. */
  #zeroed = 0;
  #set = 0;
  readonly #stage: { readonly piece: Piece; readonly from: TypedArray }[] = [];
  /** Arrays of results that are copied by themselves, or not at all. */
  readonly #arrays = new Map<number, TypedArray>();
  readonly #writes: { readonly piece: Piece; readonly from: TypedArray }[] = [];
  readonly #reads: { readonly piece: Piece; readonly to: TypedArray }[] = [];
  /** Gradients that stay on the device. */
  readonly #buffers = new Map<number, OwnedBuffer>();
  readonly #made: OwnedBuffer[] = [];

  constructor(
    private readonly call: Call,
    private readonly executable: Executable,
    private readonly arena: Arena,
    private readonly makeBuffer: MakeBuffer,
    private readonly head: HeadStage | null,
  ) {
    this.#plan = executable.plan;
  }

  /** Asks for everything that the call needs. */
  private ask(): void {
    const { call, head } = this;
    const { buffers, results } = this.#plan;
    // The gradient may lie where the logits do, so inputs come first.
    for (const buffer of buffers) if (buffer.role === "input") this.input(buffer);
    for (const buffer of buffers) {
      if (buffer.role === "structure" && buffer.structure) this.host(buffer.id, structureArray(call.shape, buffer.structure));
      else if (buffer.role === "counter") this.cut(this.#counters, buffer);
      else if (buffer.role === "scratch") this.cut(buffer.fill === 0 ? this.#cleared : this.#scratch, buffer);
      else if (buffer.role === "result" && buffer.id === results.gradient) this.gradientOfSource(buffer);
    }
    head?.ask(this);
    this.results(0);
    this.#zeroed = this.#results.bytes;
    this.results(255);
    this.#set = this.#results.bytes;
    this.results(undefined);
  }

  finish(): Binding {
    try {
      this.ask();
      const landing = this.layOut();
      const { shape, config, options } = this.call;
      const context = {
        shape,
        places: this.#places,
        scalars: config.scalars,
        skipMasked: options.skipMasked,
        rows: this.place(HEAD.rows),
      };
      const { kernels, results } = this.#plan;
      const launches: Launches = (some, range) => this.executable.launches(some, context, range);
      const work = this.head
        ? this.head.commands(this, launches, this.place(results.gradient), this.place(results.status))
        : launches(kernels);
      const program: Command[] = [];
      if (this.#staged.bytes > 0) write(program, this.#staged.place, this.staging());
      for (const { piece, from } of this.#writes) write(program, piece.place, from);
      this.fill(program, landing);
      // One by one: many small chunks make more commands than a call can take arguments.
      for (const command of work) program.push(command);
      if (!this.arena.hostMemory) read(program, this.#results.place, landing);
      for (const { piece, to } of this.#reads) read(program, piece.place, to);
      const view = (id: number) => this.#arrays.get(id) ?? this.viewOf(id, landing);
      return {
        program,
        launches: work.filter(({ kind }) => kind === "launch").length,
        view,
        kept: (id) => this.#arrays.get(id) ?? view(id).slice(),
        gradient: (id) => this.#buffers.get(id) ?? this.#arrays.get(id) ?? view(id).slice(),
        place: (id) => this.place(id),
        discard: () => this.discard(),
      };
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  private discard(): void {
    for (const buffer of this.#made) buffer.dispose();
  }

  place(id: number): Place {
    return this.#places.get(id) ?? null;
  }

  /** Gives all pieces their places. The host memory in which small results arrive. */
  private layOut(): Uint8Array<ArrayBuffer> {
    const { arena } = this;
    const landing = arena.landing(this.#results.bytes).subarray(0, this.#results.bytes);
    const regions = [this.#staged, this.#scratch, this.#cleared];
    if (arena.hostMemory) this.#results.put(landing, 0);
    else regions.push(this.#results);
    const slab = arena.slab(regions.reduce((bytes, region) => bytes + region.bytes, 0));
    let base = 0;
    for (const region of regions) base = region.put(slab, base);
    this.#counters.put(arena.zeros(this.#counters.bytes), 0);
    for (const [id, piece] of this.#pieces) this.#places.set(id, piece.place);
    return landing;
  }

  private staging(): Uint8Array {
    const staging = this.arena.staging(this.#staged.bytes).subarray(0, this.#staged.bytes);
    for (const { piece, from } of this.#stage) staging.set(bytesAt(from), piece.offset);
    return staging;
  }

  private viewOf(id: number, landing: Uint8Array<ArrayBuffer>): TypedArray {
    const { dtype, extent } = this.#plan.buffers[id] as PlanBuffer;
    const { offset } = this.#pieces.get(id) as Piece;
    return viewOf(dtype, landing.buffer, landing.byteOffset + offset, extentOf(this.call.shape, extent));
  }

  private input(buffer: PlanBuffer): void {
    const { inputs, shape } = this.call;
    const source = this.sourceOf(buffer.name);
    // Only the logits of a chunk are ever there.
    if (this.head && buffer.name === "logits" && !inputs.logits)
      this.scratch(buffer.id, this.head.most * shape.vocab * bytesOf(buffer.dtype));
    else if (source) this.given(buffer.id, source, buffer.dtype);
    else this.#places.set(buffer.id, null);
  }

  given(id: number, source: Source, dtype: BufferDtype): void {
    if (source.length === 0) this.#places.set(id, null);
    else if (source.kind === "device") this.#places.set(id, { memory: source.buffer.memory, offset: 0 });
    else this.host(id, convert(source.array, source.dtype, dtype));
  }

  scratch(id: number, bytes: number): void {
    this.#pieces.set(id, this.#scratch.take(bytes));
  }

  private sourceOf(name: string): Source | null {
    const { inputs } = this.call;
    if (name === "logits") return inputs.logits;
    if (name === "policy_logprobs") return inputs.policyLogprobs;
    if (name === "target_tokens") return inputs.targets;
    return inputs.inputs[name] ?? null;
  }

  /** Host memory that kernels read: where it lies if they can, else a copy of it. */
  host(id: number, array: TypedArray): void {
    if (array.length === 0) this.#places.set(id, null);
    else if (this.arena.reaches(array)) this.#places.set(id, { memory: array, offset: 0 });
    else {
      const small = array.byteLength <= SMALL;
      const piece = (small ? this.#staged : this.#scratch).take(array.byteLength);
      this.#pieces.set(id, piece);
      (small ? this.#stage : this.#writes).push({ piece, from: array });
    }
  }

  /** The results that have to be set to a value. What the caller keeps and is large gets memory of its own, which is not copied again. */
  private results(fill: PlanBuffer["fill"]): void {
    const { buffers, results } = this.#plan;
    for (const buffer of buffers) {
      if (buffer.role !== "result" || buffer.id === results.gradient || buffer.fill !== fill) continue;
      if (fill !== undefined || this.bytes(buffer) <= SMALL) this.cut(this.#results, buffer);
      else this.ownResult(buffer.id, makeArray(buffer.dtype, this.length(buffer)));
    }
  }

  private ownResult(
    id: number,
    array: TypedArray,
    piece = this.arena.hostMemory ? null : this.#scratch.take(array.byteLength),
  ): void {
    this.#arrays.set(id, array);
    if (!piece) {
      this.#places.set(id, array.length > 0 ? { memory: array, offset: 0 } : null);
      return;
    }
    this.#pieces.set(id, piece);
    this.#reads.push({ piece, to: array });
  }

  /** The plan's gradient: of logits, or of policy_logprobs. */
  private gradientOfSource(buffer: PlanBuffer): void {
    const { inputs, options } = this.call;
    const { from, source } = inputs;
    const logits = this.#plan.buffers.find(({ role, name }) => role === "input" && name === "logits");
    // The copy of the logits on the device is not needed afterwards, so the gradient takes its place.
    const copied = logits && this.#pieces.get(logits.id);
    if (from === "hidden") this.#pieces.set(buffer.id, copied as Piece);
    // The gradient of policy_logprobs never shares their memory: later steps may still read them. It is copied over them in the end.
    else if (from === "policy_logprobs" && options.inPlace)
      this.ownResult(buffer.id, makeArray(buffer.dtype, this.length(buffer)));
    else this.gradient(buffer.id, buffer.dtype, source, options.inPlace, copied);
  }

  /** `copied`: the copy of the caller's numbers on the device, where they lie on the host. */
  gradient(id: number, dtype: BufferDtype, of: Source, onto: boolean, copied?: Piece): void {
    if (of.kind === "host") {
      this.ownResult(id, onto ? of.array : makeArray(dtype, of.length), copied);
      return;
    }
    const buffer = onto ? of.buffer : this.makeBuffer(dtype, of.length);
    if (!onto) this.#made.push(buffer);
    this.#buffers.set(id, buffer);
    this.#places.set(id, of.length > 0 ? { memory: buffer.memory, offset: 0 } : null);
  }

  /** Sets what has to be set before the launches: memory of the host here and now. */
  private fill(program: Command[], landing: Uint8Array): void {
    const [cleared, results] = [this.#cleared.place, this.#results.place];
    if (this.arena.hostMemory) {
      landing.fill(0, 0, this.#zeroed).fill(255, this.#zeroed, this.#set);
      fill(program, cleared, this.#cleared.bytes, 0);
    } else {
      fill(program, cleared ?? results, this.#cleared.bytes + this.#zeroed, 0);
      if (results) fill(program, { ...results, offset: results.offset + this.#zeroed }, this.#set - this.#zeroed, 255);
    }
  }

  private cut(region: Region, buffer: PlanBuffer): Piece {
    const piece = region.take(this.bytes(buffer));
    this.#pieces.set(buffer.id, piece);
    return piece;
  }

  private bytes(buffer: PlanBuffer): number {
    return this.length(buffer) * bytesOf(buffer.dtype);
  }

  private length(buffer: PlanBuffer): number {
    return extentOf(this.call.shape, buffer.extent);
  }
}

function bytesAt({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function write(program: Command[], to: Place, from: ArrayBufferView): void {
  if (to) program.push({ kind: "write", to: to.memory as NativeBuffer, offset: to.offset, from });
}

function read(program: Command[], from: Place, to: ArrayBufferView): void {
  if (from) program.push({ kind: "read", from: from.memory as NativeBuffer, offset: from.offset, to });
}

function fill(program: Command[], to: Place, bytes: number, value: number): void {
  if (to && bytes > 0) program.push({ kind: "fill", to: to.memory, offset: to.offset, bytes, value });
}
