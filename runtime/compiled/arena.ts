/** Memory that calls of one device use again: what lies on the device, and on the host what is copied to it and back. */
import { wrapNative } from "../addon.js";
import { inMemory } from "../dtypes.js";
import type { NativeBuffer, NativeDevice } from "../native.js";

export class Arena {
  #slab: NativeBuffer | null = null;
  #zeros: NativeBuffer | null = null;
  #staging = new Uint8Array(0);
  #landing = new Uint8Array(0);

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

  /** Host memory that is put together to go to the device in one copy, content unspecified. */
  staging(bytes: number): Uint8Array {
    if (this.#staging.length < bytes) this.#staging = inMemory(() => new Uint8Array(bytes));
    return this.#staging;
  }

  /** Host memory in which small results arrive, content unspecified. */
  landing(bytes: number): Uint8Array<ArrayBuffer> {
    if (this.#landing.length < bytes) this.#landing = inMemory(() => new Uint8Array(bytes));
    return this.#landing;
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
