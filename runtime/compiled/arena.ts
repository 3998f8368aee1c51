/** Memory that calls of one device use again: one slab that is cut anew for every call, and one that is zero between calls. */
import { wrapNative } from "../addon.js";
import type { NativeBuffer, NativeDevice } from "../native.js";

/** Every piece starts where the widest loads want it. */
const ALIGNMENT = 256;

export class Arena {
  #slab: NativeBuffer | null = null;
  #zeros: NativeBuffer | null = null;

  constructor(private readonly device: NativeDevice) {}

  /** Scratch of at least so many bytes, content unspecified. */
  slab(bytes: number): NativeBuffer | null {
    this.#slab = this.grown(this.#slab, bytes);
    return this.#slab;
  }

  /** Counters: zero when allocated, and kernels leave them zero, so that every plan may use them. */
  zeros(bytes: number): NativeBuffer | null {
    this.#zeros = this.grown(this.#zeros, bytes);
    return this.#zeros;
  }

  dispose(): void {
    this.#slab?.dispose();
    this.#zeros?.dispose();
    this.#slab = this.#zeros = null;
  }

  private grown(old: NativeBuffer | null, bytes: number): NativeBuffer | null {
    if (bytes === 0 || (old && old.byteLength >= bytes)) return old;
    // The old memory goes first: together they might not fit.
    old?.dispose();
    try {
      return this.device.allocate(bytes);
    } catch (error) {
      throw wrapNative(error);
    }
  }
}

/** Cuts a slab: hands out offsets, and in the end knows how many bytes they take. */
export class Cutter {
  bytes = 0;

  take(bytes: number): number {
    const offset = this.bytes;
    this.bytes += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    return offset;
  }
}

/** The arenas of one device that no call uses at the moment. */
export class Arenas {
  readonly #free: Arena[] = [];

  constructor(private readonly device: NativeDevice) {}

  /** Runs a call with an arena of its own. After a failure its content is unknown (a counter may not be zero), so it is thrown away. */
  async use<T>(call: (arena: Arena) => Promise<T>): Promise<T> {
    const arena = this.#free.pop() ?? new Arena(this.device);
    let result: T;
    try {
      result = await call(arena);
    } catch (error) {
      arena.dispose();
      throw error;
    }
    this.#free.push(arena);
    return result;
  }

  dispose(): void {
    for (const arena of this.#free.splice(0)) arena.dispose();
  }
}
