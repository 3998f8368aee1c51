/** Element types in memory: their sizes, their typed arrays, and the roundings between them. */

import type { LogitsDtype } from "../../codegen/loss-program.js";
import { type BufferDtype, BYTES } from "../../codegen/schedule/plan.js";
import { DTYPES } from "../../dsl/dtypes.js";
import { LosscError } from "../../dsl/errors.js";

/** An array of a buffer's elements; float16 and bfloat16 are bits in a `Uint16Array`. */
export type TypedArray = Float32Array | Float64Array | Uint16Array | Int32Array | Uint32Array;

/**
 * A `Float16Array`, which Node has from 24 on. It is described by its structure, since TypeScript before 5.8 does not know the name. Its bits are of
 * dtype `"f16"`.
 */
export interface Float16Numbers extends ArrayBufferView {
  readonly [Symbol.toStringTag]: "Float16Array";
  readonly BYTES_PER_ELEMENT: number;
  readonly length: number;
  [index: number]: number;
}

/** The dtypes that a caller may name. */
export const BUFFER_DTYPES = Object.keys(BYTES) as readonly BufferDtype[];
export const FLOAT_DTYPES: readonly BufferDtype[] = [...DTYPES, "f64"];

export function isLogitsDtype(value: unknown): value is LogitsDtype {
  return (DTYPES as readonly unknown[]).includes(value);
}

export function isBufferDtype(value: unknown): value is BufferDtype {
  return typeof value === "string" && Object.hasOwn(BYTES, value);
}

export function bytesOf(dtype: BufferDtype): number {
  return BYTES[dtype];
}

/** A zeroed array of the dtype's bits: f16 and bf16 lie in a `Uint16Array`. `DEVICE_OUT_OF_MEMORY` where V8 has no memory for it. */
export function makeArray(dtype: BufferDtype, length: number): TypedArray {
  return inMemory(() => new (arrayOf(dtype))(length));
}

/** An array of the dtype's bits over existing memory. */
export function viewOf(dtype: BufferDtype, memory: ArrayBuffer, byteOffset: number, length: number): TypedArray {
  return new (arrayOf(dtype))(memory, byteOffset, length);
}

/** Runs a function that makes arrays. V8 throws a `RangeError` where it has no memory for one. */
export function inMemory<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const message = `there is no memory for an array in this process (${error.message}); give fewer tokens per call, or use inPlace`;
    throw new LosscError("DEVICE_OUT_OF_MEMORY", message, { cause: error });
  }
}

function arrayOf(dtype: BufferDtype) {
  switch (dtype) {
    case "f32":
      return Float32Array;
    case "f64":
      return Float64Array;
    case "i32":
      return Int32Array;
    case "u32":
      return Uint32Array;
    default:
      return Uint16Array;
  }
}

type Float16Class = new (memory: ArrayBufferLike, byteOffset: number, length: number) => Float16Numbers;

function float16Class(): Float16Class | undefined {
  return (globalThis as { readonly Float16Array?: Float16Class }).Float16Array;
}

/** False where the engine has no such class. */
export function isFloat16(value: unknown): value is Float16Numbers {
  const known = float16Class();
  return known !== undefined && isArrayOf(value, known as never);
}

/** The bits of an array where they lie: those of a `Float16Array` as a `Uint16Array`, all others as they are. */
export function bitsOf(array: TypedArray | Float16Numbers): TypedArray {
  return isFloat16(array) ? new Uint16Array(array.buffer, array.byteOffset, array.length) : (array as TypedArray);
}

/** Bits of float16 as a `Float16Array` over the same memory. */
export function asFloat16({ buffer, byteOffset, length }: TypedArray): Float16Numbers {
  return new (float16Class() as Float16Class)(buffer, byteOffset, length);
}

/** Accessors of typed arrays, taken from their prototype so that an object cannot override them. */
const own = (name: "length" | "byteLength" | typeof Symbol.toStringTag) =>
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Int32Array.prototype), name)?.get as () => unknown;
const [trueLength, trueBytes, trueKind] = [own("length"), own("byteLength"), own(Symbol.toStringTag)];

/**
 * Whether a value is a typed array of a class. An object that only inherits from the class has no memory, and may override `length`, up to which
 * kernels read and write.
 */
export function isArrayOf<T>(
  value: unknown,
  type: { new (length: number): T; readonly BYTES_PER_ELEMENT: number },
): value is T & { readonly length: number } {
  return value instanceof type && isSound(value) && trueBytes.call(value) === value.length * type.BYTES_PER_ELEMENT;
}

/** Whether a value is a typed array with its true length. */
export function isSound(value: unknown): value is { readonly length: number } {
  return trueKind.call(value) !== undefined && (value as { readonly length?: unknown }).length === trueLength.call(value);
}

/** The dtype whose bits a typed array holds; null for those that lossc does not take, and for `Uint16Array`, which may be either half. */
export function dtypeOfArray(array: unknown): BufferDtype | null {
  if (isArrayOf(array, Float32Array)) return "f32";
  if (isArrayOf(array, Float64Array)) return "f64";
  if (isArrayOf(array, Int32Array)) return "i32";
  if (isArrayOf(array, Uint32Array)) return "u32";
  return isFloat16(array) ? "f16" : null;
}

/** Whether a typed array can hold elements of the dtype. */
export function holds(array: unknown, dtype: BufferDtype): array is TypedArray | Float16Numbers {
  const known = dtypeOfArray(array);
  return known === null && isHalf(dtype) ? isArrayOf(array, Uint16Array) : known === dtype;
}

/** The array, or a copy of one that could shrink while kernels read it. */
export function steady(array: TypedArray): TypedArray {
  if (!isResizable(array)) return array;
  // One that lies beyond the end of its memory has no element, and cannot be sliced.
  if (array.length === 0) return new (array.constructor as new (length: number) => TypedArray)(0);
  return inMemory(() => array.slice());
}

/** Whether the memory of an array can shrink. Shared memory only grows. */
export function isResizable({ buffer }: ArrayBufferView): boolean {
  return (buffer as { readonly resizable?: boolean }).resizable === true;
}

const bits = new DataView(new ArrayBuffer(4));

/** Rounds to nearest even; a NaN stays a quiet NaN. */
export function toBf16(value: number): number {
  bits.setFloat32(0, value);
  const word = bits.getUint32(0);
  if ((word & 0x7fffffff) > 0x7f800000) return (word >>> 16) | 0x40;
  return ((word + 0x7fff + ((word >>> 16) & 1)) >>> 16) & 0xffff;
}

export function fromBf16(half: number): number {
  bits.setUint32(0, half << 16);
  return bits.getFloat32(0);
}

/** Rounds a float32 to nearest even half precision; a NaN stays a quiet NaN. */
export function toF16(value: number): number {
  bits.setFloat32(0, value);
  const word = bits.getUint32(0);
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // 65520 and above rounds to infinity.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Below the least normal number the unit is 2^-24: scaling is exact, so one rounding decides.
    const units = Math.abs(bits.getFloat32(0)) * 2 ** 24;
    const floor = Math.floor(units);
    const rest = units - floor;
    return sign | (floor + (rest > 0.5 || (rest === 0.5 && (floor & 1) === 1) ? 1 : 0));
  }
  const rebased = magnitude - 0x38000000;
  return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13);
}

export function fromF16(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 31;
  const fraction = half & 0x3ff;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** dtypes of two bytes, whose bits lie in a `Uint16Array`, and how a number is read and written. */
const HALVES = { bf16: { read: fromBf16, write: toBf16 }, f16: { read: fromF16, write: toF16 } } as const satisfies Partial<
  Record<BufferDtype, unknown>
>;

/** Whether the dtype's bits lie in a `Uint16Array`. */
export function isHalf(dtype: BufferDtype): dtype is keyof typeof HALVES {
  return Object.hasOwn(HALVES, dtype);
}

/** The numbers that the bits stand for. A `Float64Array` comes back as it is. */
export function widen(array: TypedArray, dtype: BufferDtype): Float64Array {
  if (array instanceof Float64Array) return array;
  if (!isHalf(dtype)) return Float64Array.from(array);
  const { read } = HALVES[dtype];
  const result = new Float64Array(array.length);
  for (let i = 0; i < array.length; i++) result[i] = read(array[i] as number);
  return result;
}

/** Writes the numbers into an array of the dtype, rounded to nearest even. */
export function narrowInto(target: TypedArray, dtype: BufferDtype, values: ArrayLike<number>): void {
  if (!isHalf(dtype)) {
    target.set(values);
    return;
  }
  const { write } = HALVES[dtype];
  for (let i = 0; i < values.length; i++) target[i] = write(values[i] as number);
}

/** The same numbers in another dtype; the same array where nothing changes. */
export function convert(array: TypedArray, from: BufferDtype, to: BufferDtype): TypedArray {
  if (from === to) return array;
  const result = makeArray(to, array.length);
  narrowInto(result, to, isHalf(from) ? widen(array, from) : array);
  return result;
}
