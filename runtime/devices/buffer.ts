/** Memory of a device, as callers hold it. */
import type { BufferDtype } from "../../codegen/schedule/plan.js";
import { LosscError } from "../../dsl/errors.js";
import type { Memory } from "../addon/native.js";
import { describe, isPlainArray, numbersOf } from "../inputs/values.js";
import type { Device, DeviceBuffer } from "./device.js";
import {
  BUFFER_DTYPES,
  bitsOf,
  bytesOf,
  convert,
  dtypeOfArray,
  type Float16Numbers,
  holds,
  isArrayOf,
  isBufferDtype,
  makeArray,
  steady,
  type TypedArray,
} from "./dtypes.js";

/** How a device moves bytes in and out of its memory. */
export interface BufferHost {
  readonly device: Device;
  /** `DISPOSED` once the device takes no more calls. */
  alive(): void;
  /** `DISPOSED` once the device's memory is freed. This is later than {@link BufferHost.alive}: earlier calls still run. */
  usable(): void;
  download(memory: Memory, to: TypedArray): Promise<void>;
  upload(memory: Memory, from: TypedArray): Promise<void>;
  release(memory: Memory): void;
}

export class OwnedBuffer implements DeviceBuffer {
  #memory: Memory | null;

  constructor(
    private readonly host: BufferHost,
    memory: Memory,
    readonly dtype: BufferDtype,
    readonly length: number,
  ) {
    this.#memory = memory;
  }

  get device(): Device {
    return this.host.device;
  }

  get byteLength(): number {
    return this.length * bytesOf(this.dtype);
  }

  get disposed(): boolean {
    return this.#memory === null;
  }

  get memory(): Memory {
    this.host.usable();
    if (!this.#memory)
      throw new LosscError(
        "DISPOSED",
        `this ${this.dtype} buffer of ${this.length} elements has been disposed of; make a new one with device.buffer().`,
      );
    return this.#memory;
  }

  async read(): Promise<TypedArray> {
    this.host.alive();
    const result = makeArray(this.dtype, this.length);
    if (this.memory && this.length > 0) await this.host.download(this.memory, result);
    return result;
  }

  async write(data: TypedArray | Float16Numbers | readonly number[]): Promise<void> {
    this.host.alive();
    const { memory } = this;
    const from = this.accept(data);
    if (from.length !== this.length) {
      throw new LosscError("INPUT_LENGTH", `the data has ${from.length} elements, the buffer ${this.length}; give as many.`);
    }
    if (this.length > 0) await this.host.upload(memory, from);
  }

  dispose(): void {
    if (!this.#memory) return;
    this.host.release(this.#memory);
    this.#memory = null;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  private accept(data: unknown): TypedArray {
    if (holds(data, this.dtype)) return steady(bitsOf(data));
    if (isPlainArray(data)) return convert(numbersOf(data, "data"), "f64", this.dtype);
    throw new LosscError(
      "INPUT_DTYPE",
      `the data is ${describe(data)}, the buffer holds ${this.dtype}; give ${makeArray(this.dtype, 0).constructor.name} or a plain array.`,
    );
  }
}

/** Checked arguments of `device.buffer`. */
export interface BufferRequest {
  readonly dtype: BufferDtype;
  readonly length: number;
  readonly data: TypedArray | null;
}

/** Checks the arguments of `device.buffer`. */
export function bufferRequest(
  source: ArrayBufferView | { readonly dtype: BufferDtype; readonly length: number },
  dtype?: BufferDtype,
): BufferRequest {
  if (ArrayBuffer.isView(source)) {
    const found = dtype ?? dtypeOfArray(source);
    if (!found || !isBufferDtype(found) || !holds(source, found)) {
      const way = isArrayOf(source, Uint16Array)
        ? 'say what its bits are: "bf16" or "f16"'
        : "give Float32Array, Float64Array, Float16Array, Int32Array, Uint32Array, or Uint16Array with its dtype";
      throw new LosscError(
        "INPUT_DTYPE",
        `${describe(source)} ${dtype === undefined ? "has no dtype of its own" : `cannot hold ${describe(dtype)}`}; ${way}.`,
      );
    }
    return { dtype: found, length: source.length, data: steady(bitsOf(source)) };
  }
  if (!isBufferDtype(source?.dtype))
    throw new LosscError(
      "INPUT_DTYPE",
      `a buffer's dtype is one of ${BUFFER_DTYPES.join(", ")}, not ${describe(source?.dtype)}.`,
    );
  if (!Number.isSafeInteger(source.length) || source.length < 0) {
    throw new LosscError("INPUT_LENGTH", `a buffer's length is a whole number ≥ 0 of elements, not ${describe(source.length)}.`);
  }
  return { dtype: source.dtype, length: source.length, data: null };
}
