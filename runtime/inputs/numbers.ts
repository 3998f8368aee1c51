/** Reading numbers that callers give: checked before any conversion, so that nothing is coerced silently. */
import type { BufferDtype } from "../../codegen/schedule/plan.js";
import { LosscError } from "../../dsl/errors.js";
import { OwnedBuffer } from "../devices/buffer.js";
import {
  bitsOf,
  dtypeOfArray,
  FLOAT_DTYPES,
  type Float16Numbers,
  holds,
  isArrayOf,
  isFloat16,
  isLogitsDtype,
  steady,
  type TypedArray,
} from "../devices/dtypes.js";
import { describe, isPlainArray, numbersOf } from "./values.js";

export { describe } from "./values.js";

/** Numbers of the caller with their dtype, in host memory or in a device buffer. */
export type Source = HostSource | DeviceSource;

export interface HostSource {
  readonly kind: "host";
  readonly array: TypedArray;
  readonly dtype: BufferDtype;
  readonly length: number;
  /** Whether `array` is the caller's own memory and not a copy. */
  readonly own: boolean;
  /** The caller's array, where `array` holds its bits. */
  readonly float16?: Float16Numbers;
}

/** The caller's array where it lies, or a copy of it where it could shrink under the call. */
function arraySource(given: TypedArray | Float16Numbers, dtype: BufferDtype): HostSource {
  const bits = bitsOf(given);
  const array = steady(bits);
  return { kind: "host", array, dtype, length: array.length, own: array === bits, ...(isFloat16(given) && { float16: given }) };
}

export interface DeviceSource {
  readonly kind: "device";
  readonly buffer: OwnedBuffer;
  readonly dtype: BufferDtype;
  readonly length: number;
}

/** Numbers of any float type. `INPUT_DTYPE` for anything else. */
export function floatSource(value: unknown, name: string): Source {
  if (isPlainArray(value)) {
    const array = numbersOf(value, name);
    return {
      kind: "host",
      array,
      dtype: "f64",
      length: array.length,
      own: false,
    };
  }
  if (value instanceof OwnedBuffer) {
    if (!FLOAT_DTYPES.includes(value.dtype)) throw mistaken(value, name);
    return {
      kind: "device",
      buffer: value,
      dtype: value.dtype,
      length: value.length,
    };
  }
  const dtype = dtypeOfArray(value);
  if (dtype === "f32" || dtype === "f64" || dtype === "f16") return arraySource(value as Float32Array, dtype);
  if (typeof value === "object" && value !== null && "data" in value && "dtype" in value) {
    if (!isLogitsDtype(value.dtype))
      throw new LosscError("INPUT_DTYPE", `${name}.dtype is ${describe(value.dtype)}; it is "f32", "bf16" or "f16".`);
    if (!holds(value.data, value.dtype)) {
      const wanted = value.dtype === "f32" ? "Float32Array" : "Uint16Array";
      throw new LosscError(
        "INPUT_DTYPE",
        `${name}.data is ${describe(value.data)}; with dtype "${value.dtype}" it is a ${wanted}.`,
      );
    }
    return arraySource(value.data, value.dtype);
  }
  throw mistaken(value, name);
}

/** Token ids. `INPUT_DTYPE` for a number that is not whole. Their range is checked elsewhere. */
export function tokenSource(value: unknown, name: string): Source {
  if (value instanceof OwnedBuffer) {
    if (value.dtype !== "i32")
      throw new LosscError("INPUT_DTYPE", `${name} is a device buffer of ${value.dtype}; token ids are i32.`);
    return {
      kind: "device",
      buffer: value,
      dtype: "i32",
      length: value.length,
    };
  }
  if (isArrayOf(value, Int32Array)) return arraySource(value, "i32");
  let numbers: Float64Array;
  if (isPlainArray(value)) numbers = numbersOf(value, name);
  else if (isArrayOf(value, Uint32Array)) numbers = Float64Array.from(value);
  else if (isArrayOf(value, BigInt64Array)) numbers = Float64Array.from(value, Number);
  else
    throw new LosscError(
      "INPUT_DTYPE",
      `${name} is ${describe(value)}; give Int32Array, Uint32Array, BigInt64Array, a plain array of whole numbers, or a device buffer of i32.`,
    );
  for (let i = 0; i < numbers.length; i++) {
    if (!Number.isInteger(numbers[i]))
      throw new LosscError("INPUT_DTYPE", `${name}[${i}] is ${numbers[i]}, not a whole number; token ids are.`);
  }
  return {
    kind: "host",
    array: numbers,
    dtype: "f64",
    length: numbers.length,
    own: false,
  };
}

/** `lengths` and `groups`: whole numbers of at least `least`, else `INPUT_LENGTH`. */
export function wholeNumbers(value: unknown, name: string, least: 0 | 1, unit: string): number[] {
  if (!isPlainArray(value) && !isArrayOf(value, Int32Array) && !isArrayOf(value, Uint32Array)) {
    throw new LosscError("INPUT_DTYPE", `${name} is ${describe(value)}; give an array of whole numbers, ${unit}.`);
  }
  const result: number[] = [];
  for (let i = 0; i < value.length; i++) {
    const entry: unknown = value[i];
    if (typeof entry !== "number" || !Number.isSafeInteger(entry) || entry < least) {
      throw new LosscError("INPUT_LENGTH", `${name}[${i}] is ${describe(entry)}; it is a whole number ≥ ${least}, ${unit}.`);
    }
    result.push(entry);
  }
  return result;
}

/** `INPUT_LENGTH` where an array was detached since the call was made. A kernel would treat it as an input that was left out. */
export function checkThere(name: string, array: TypedArray, length: number): void {
  if (array.length === length) return;
  throw new LosscError(
    "INPUT_LENGTH",
    `${name} had ${length} numbers and has ${array.length}: its buffer was transferred or resized after the call was made; leave it as it is until the call has settled`,
  );
}

function mistaken(value: unknown, name: string): LosscError {
  const what = value instanceof OwnedBuffer ? `a device buffer of ${value.dtype}` : describe(value);
  const half = value instanceof Uint16Array ? ' Say what its bits are: { data, dtype: "bf16" } or { data, dtype: "f16" }.' : "";
  return new LosscError(
    "INPUT_DTYPE",
    `${name} is ${what}; give Float32Array, Float64Array, Float16Array, { data: Uint16Array, dtype: "bf16" | "f16" }, a plain array of numbers, or a device buffer.${half}`,
  );
}
