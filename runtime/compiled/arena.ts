/** Memory that calls of one device use again: what lies on the device, and on the host what is copied to it and back. */
import { TARGETS } from "../../codegen/emit/targets/index.js";
import type { NativeBuffer, NativeDevice } from "../addon/native.js";
import { inMemory } from "../devices/dtypes.js";
import { GrowableBuffer } from "./growable-buffer.js";

export class Arena {
  /** Whether kernels reach memory of the host. Asked once: what the addon answers costs more than what it says. */
  readonly hostMemory: boolean;
  /** The boundary that host memory has to lie on for that. */
  readonly #alignment: number;
  readonly #slab: GrowableBuffer;
  readonly #zeros: GrowableBuffer;
  #staging = new Uint8Array(0);
  #landing = new Uint8Array(0);

  constructor(device: NativeDevice) {
    this.#slab = new GrowableBuffer(device);
    this.#zeros = new GrowableBuffer(device);
    this.hostMemory = device.hostMemory;
    this.#alignment = TARGETS[device.kind].alignment;
  }

  /** Whether kernels may take an array where it lies. */
  reaches(array: ArrayBufferView): boolean {
    return this.hostMemory && array.byteOffset % this.#alignment === 0;
  }

  /** Scratch of at least so many bytes, content unspecified. */
  slab(bytes: number): NativeBuffer | null {
    return this.#slab.atLeast(bytes);
  }

  /** Counters: zero when allocated, and kernels leave them zero, so that every plan may use them. */
  zeros(bytes: number): NativeBuffer | null {
    return this.#zeros.atLeast(bytes);
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
    this.#slab.dispose();
    this.#zeros.dispose();
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

  /** Frees what no call uses at the moment: it has grown to what the largest loss so far needs. The next call makes its own. */
  trim(): void {
    for (const arena of this.#free.splice(0)) arena.dispose();
  }
}
