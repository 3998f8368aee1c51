/** Gives every buffer of a plan its memory for one call, and writes the program that the addon runs. */
import type { Plan, PlanBuffer } from "../../codegen/plan.js";
import type { OwnedBuffer } from "../devices/buffer.js";
import { bytesOf, convert, makeArray, type TypedArray } from "../dtypes.js";
import type { HostSource, Source } from "../inputs/numbers.js";
import type { Command, NativeDevice } from "../native.js";
import { extentOf, structureArray } from "../structure.js";
import { type Arena, Cutter } from "./arena.js";
import type { Call } from "./call.js";
import type { Place, Variant } from "./variant.js";

/** Memory of one call that its results are taken from. */
export interface Binding {
  readonly program: readonly Command[];
  readonly launches: number;
  /** Result buffers in host memory by their id, filled when the program has run; the gradient too, unless it stays on the device. */
  readonly results: ReadonlyMap<number, TypedArray>;
  /** The gradient where it stays on the device. */
  readonly gradient: OwnedBuffer | null;
}

/** Bytes of the widest load of a kernel. */
const WIDEST = 16;

/** Makes memory for a gradient that stays on the device. */
export type MakeBuffer = (dtype: PlanBuffer["dtype"], length: number) => OwnedBuffer;

/** A piece of one of the arena's slabs; its memory is known once all pieces are. */
interface Piece {
  readonly offset: number;
  readonly bytes: number;
}

export function bind(call: Call, variant: Variant, device: NativeDevice, arena: Arena, makeBuffer: MakeBuffer): Binding {
  return new Binder(call, variant, device, makeBuffer).finish(arena);
}

class Binder {
  readonly #plan: Plan;
  readonly #places = new Map<number, Place>();
  readonly #pieces = new Map<number, Piece>();
  readonly #counters = new Map<number, Piece>();
  readonly #slab = new Cutter();
  readonly #zeros = new Cutter();
  readonly #results = new Map<number, TypedArray>();
  /** Copies into the slab before, and out of it after the launches. */
  readonly #writes: { readonly piece: Piece; readonly from: TypedArray }[] = [];
  readonly #reads: { readonly piece: Piece; readonly to: TypedArray }[] = [];
  readonly #fills: { readonly buffer: number; readonly value: number }[] = [];
  #gradient: OwnedBuffer | null = null;

  constructor(
    private readonly call: Call,
    private readonly variant: Variant,
    private readonly device: NativeDevice,
    private readonly makeBuffer: MakeBuffer,
  ) {
    this.#plan = variant.plan;
    const { buffers, results } = this.#plan;
    // The gradient may lie where the logits do, so inputs come first.
    for (const buffer of buffers) if (buffer.role === "input") this.input(buffer);
    for (const buffer of buffers) {
      if (buffer.role === "structure" && buffer.structure) this.host(buffer.id, structureArray(call.shape, buffer.structure));
      else if (buffer.role === "counter") this.#counters.set(buffer.id, this.cut(this.#zeros, buffer));
      else if (buffer.role === "scratch") this.#pieces.set(buffer.id, this.cut(this.#slab, buffer));
      else if (buffer.role === "result" && buffer.id === results.gradient) this.gradient(buffer);
      else if (buffer.role === "result") this.result(buffer, makeArray(buffer.dtype, this.length(buffer)));
    }
    this.fills();
  }

  finish(arena: Arena): Binding {
    try {
      const slab = arena.slab(this.#slab.bytes);
      const zeros = arena.zeros(this.#zeros.bytes);
      for (const [id, { offset, bytes }] of this.#pieces)
        this.#places.set(id, slab && bytes > 0 ? { memory: slab, offset } : null);
      for (const [id, { offset, bytes }] of this.#counters)
        this.#places.set(id, zeros && bytes > 0 ? { memory: zeros, offset } : null);
      const { shape, config, options } = this.call;
      const { scalars } = config;
      const launches = this.variant.launches(this.#plan.kernels, {
        shape,
        places: this.#places,
        scalars,
        skipMasked: options.skipMasked,
        rows: null,
      });
      const program: Command[] = [];
      for (const { piece, from } of this.#writes)
        if (slab && piece.bytes > 0) program.push({ kind: "write", to: slab, offset: piece.offset, from });
      for (const { buffer, value } of this.#fills) this.fillCommand(program, buffer, value);
      program.push(...launches);
      for (const { piece, to } of this.#reads)
        if (slab && piece.bytes > 0) program.push({ kind: "read", from: slab, offset: piece.offset, to });
      return {
        program,
        launches: launches.length,
        results: this.#results,
        gradient: this.#gradient,
      };
    } catch (error) {
      if (this.#gradient && !this.isInput(this.#gradient)) this.#gradient.dispose();
      throw error;
    }
  }

  private input(buffer: PlanBuffer): void {
    const source = this.sourceOf(buffer.name);
    if (!source || source.length === 0) this.#places.set(buffer.id, null);
    else if (source.kind === "device") this.#places.set(buffer.id, { memory: source.buffer.memory, offset: 0 });
    else this.host(buffer.id, convert(source.array, source.dtype, buffer.dtype));
  }

  private sourceOf(name: string): Source | null {
    const { inputs } = this.call;
    if (name === "logits") return inputs.logits;
    if (name === "policy_logprobs") return inputs.policyLogprobs;
    if (name === "target_tokens") return inputs.targets;
    return inputs.inputs[name] ?? null;
  }

  /** Host memory that kernels read: where it lies if they can, else a copy of it. */
  private host(id: number, array: TypedArray): void {
    if (array.length === 0) this.#places.set(id, null);
    else if (this.reaches(array)) this.#places.set(id, { memory: array, offset: 0 });
    else {
      const piece = {
        offset: this.#slab.take(array.byteLength),
        bytes: array.byteLength,
      };
      this.#pieces.set(id, piece);
      this.#writes.push({ piece, from: array });
    }
  }

  /** Whether kernels may take an array where it lies. The emulated device's want it where a GPU's would: on a boundary of their widest loads. */
  private reaches(array: TypedArray): boolean {
    return this.device.hostMemory && (this.device.kind !== "emulated" || array.byteOffset % WIDEST === 0);
  }

  /** Host memory that kernels write. */
  private result(
    buffer: PlanBuffer,
    array: TypedArray,
    piece = this.device.hostMemory ? null : this.cut(this.#slab, buffer),
  ): void {
    this.#results.set(buffer.id, array);
    if (!piece) {
      this.#places.set(buffer.id, array.length > 0 ? { memory: array, offset: 0 } : null);
      return;
    }
    this.#pieces.set(buffer.id, piece);
    this.#reads.push({ piece, to: array });
  }

  private gradient(buffer: PlanBuffer): void {
    const { inputs, options } = this.call;
    const source = inputs.logits ?? inputs.policyLogprobs;
    // The gradient of policy_logprobs never shares their memory: later steps may still read them. It is copied over them in the end.
    const onto = options.inPlace && inputs.logits !== null;
    if (source?.kind === "device" && (onto || !options.inPlace)) {
      this.#gradient = onto ? source.buffer : this.makeBuffer(buffer.dtype, this.length(buffer));
      this.#places.set(buffer.id, source.length > 0 ? { memory: this.#gradient.memory, offset: 0 } : null);
      return;
    }
    const array = onto ? (source as HostSource).array : makeArray(buffer.dtype, this.length(buffer));
    // A copy of the logits on the device is nobody's, so the gradient takes its place.
    const copied = inputs.logits && this.#plan.buffers.find(({ role, name }) => role === "input" && name === "logits");
    this.result(buffer, array, (copied && this.#pieces.get(copied.id)) || undefined);
  }

  /** What must be set before the launches; fresh arrays of the host are zero already. */
  private fills(): void {
    for (const { id, fill } of this.#plan.buffers) {
      if (fill === undefined) continue;
      const array = this.#pieces.has(id) ? undefined : this.#results.get(id);
      if (!array) this.#fills.push({ buffer: id, value: fill });
      else if (fill !== 0) new Uint8Array(array.buffer, array.byteOffset, array.byteLength).fill(fill);
    }
  }

  private fillCommand(program: Command[], id: number, value: number): void {
    const place = this.#places.get(id);
    const bytes = (this.#pieces.get(id) ?? this.#counters.get(id))?.bytes ?? 0;
    if (place && bytes > 0)
      program.push({
        kind: "fill",
        to: place.memory,
        offset: place.offset,
        bytes,
        value,
      });
  }

  private cut(cutter: Cutter, buffer: PlanBuffer): Piece {
    const bytes = this.length(buffer) * bytesOf(buffer.dtype);
    return { offset: cutter.take(bytes), bytes };
  }

  private length(buffer: PlanBuffer): number {
    return extentOf(this.call.shape, buffer.extent);
  }

  private isInput(buffer: OwnedBuffer): boolean {
    const { logits } = this.call.inputs;
    return logits?.kind === "device" && logits.buffer === buffer;
  }
}
