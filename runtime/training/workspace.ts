/** Memory that a policy works in, kept from call to call. */
import type { NativeBuffer, NativeDevice } from "../addon/native.js";

/** Memory that a policy works in, by name. It grows when a batch is larger than all before it, and is kept between calls. */
export class Workspace {
  readonly #buffers = new Map<string, NativeBuffer>();

  constructor(private readonly device: NativeDevice) {}

  /** At least so many elements of four bytes. What was in them is lost where they had to grow. */
  take(name: string, elements: number): NativeBuffer {
    const bytes = Math.max(4, 4 * elements);
    const held = this.#buffers.get(name);
    if (held && held.byteLength >= bytes) return held;
    const grown = this.device.allocate(bytes);
    held?.dispose();
    this.#buffers.set(name, grown);
    return grown;
  }

  dispose(): void {
    for (const buffer of this.#buffers.values()) buffer.dispose();
    this.#buffers.clear();
  }
}
