/** Memory of a device that is made anew when more is needed. */
import { wrapNative } from "../addon/addon.js";
import type { NativeBuffer, NativeDevice } from "../addon/native.js";

export class GrowableBuffer {
  #buffer: NativeBuffer | null = null;
  #bytes = 0;

  constructor(private readonly device: NativeDevice) {}

  /** Null while nothing was ever needed. */
  atLeast(bytes: number): NativeBuffer | null {
    if (bytes <= this.#bytes) return this.#buffer;
    // The old memory goes first: together they might not fit.
    this.dispose();
    try {
      this.#buffer = this.device.allocate(bytes);
    } catch (error) {
      throw wrapNative(error);
    }
    this.#bytes = bytes;
    return this.#buffer;
  }

  dispose(): void {
    this.#buffer?.dispose();
    this.#buffer = null;
    this.#bytes = 0;
  }
}
