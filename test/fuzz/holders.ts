/** Every way to hand numbers to a loss: arrays in memory of every kind, wherever they begin, and buffers of a device. */
import type { BufferDtype } from "../../codegen/schedule/plan.js";
import type { Device, DeviceBuffer, TypedArray } from "../../index.js";
import { narrowInto } from "../../runtime/devices/dtypes.js";
import { bitsOf } from "./fuzzer.js";

/** One value for an input, and the memory to check after the call. */
export interface Held {
  readonly given: unknown;
  /** The memory, as results name it where the gradient was written over it; null for what is copied. */
  readonly own: ArrayBufferView | DeviceBuffer | null;
  /** Its bits now. */
  read(): Promise<string>;
  /** Bits of the memory around it, which must not change. */
  around(): string;
  dispose(): void;
}

/** The role of an input: output of the policy, other numbers, or token ids. */
export type Role = "policy" | "input" | "tokens";

export interface Place {
  /** Elements of the larger memory that lie before. */
  readonly offset: number;
  readonly memory: "own" | "shared" | "resizable";
}

const GUARD = 0xa5;
const BEHIND = 5;

type ArrayType = { readonly BYTES_PER_ELEMENT: number; new (memory: ArrayBuffer, offset: number, length: number): TypedArray };

function memoryOf(bytes: number, kind: Place["memory"]): ArrayBuffer {
  if (kind === "shared") return new SharedArrayBuffer(bytes) as unknown as ArrayBuffer;
  // The types are of ES2023, Node knows the option.
  const resizable = ArrayBuffer as unknown as new (bytes: number, options: object) => ArrayBuffer;
  return kind === "resizable" ? new resizable(bytes, { maxByteLength: 2 * bytes }) : new ArrayBuffer(bytes);
}

function view(type: unknown, length: number, { offset, memory }: Place): { array: TypedArray; around: () => string } {
  const { BYTES_PER_ELEMENT: size } = type as ArrayType;
  const whole = memoryOf((offset + length + BEHIND) * size, memory);
  const bytes = new Uint8Array(whole).fill(GUARD);
  const array = new (type as ArrayType)(whole, offset * size, length);
  const around = () => bitsOf(bytes.subarray(0, offset * size)) + bitsOf(bytes.subarray((offset + length) * size));
  return { array, around };
}

type Holder = (numbers: readonly number[], place: Place, device: Device) => Held | Promise<Held>;

/** A typed array that holds the bits of a dtype, given as it is or with the dtype's name. */
function inArray(type: unknown, dtype: BufferDtype, own: boolean, give: (array: TypedArray) => unknown): Holder {
  return (numbers, place) => {
    const { array, around } = view(type, numbers.length, place);
    narrowInto(array, dtype, numbers);
    return { given: give(array), own: own ? array : null, read: async () => bitsOf(array), around, dispose: () => {} };
  };
}

function copied(give: (numbers: readonly number[]) => ArrayLike<number | bigint>): Holder {
  return (numbers) => {
    const given = give(numbers);
    return { given, own: null, read: async () => Array.from(given, String).join(), around: () => "", dispose: () => {} };
  };
}

const onDevice =
  (dtype: BufferDtype): Holder =>
  async (numbers, _, device) => {
    const buffer = await device.buffer({ dtype, length: numbers.length });
    await buffer.write(await written(numbers, dtype));
    return {
      given: buffer,
      own: buffer,
      read: async () => bitsOf(await buffer.read()),
      around: () => "",
      dispose: () => buffer.dispose(),
    };
  };

/** Half of the writes are of plain arrays, which are rounded on the way. */
async function written(numbers: readonly number[], dtype: BufferDtype): Promise<TypedArray | readonly number[]> {
  if (numbers.length % 2 === 0) return numbers;
  const array =
    dtype === "f32"
      ? new Float32Array(numbers.length)
      : dtype === "i32"
        ? new Int32Array(numbers.length)
        : new Uint16Array(numbers.length);
  narrowInto(array, dtype, numbers);
  return array;
}

const as = (array: unknown) => array;
const half = (dtype: "bf16" | "f16", own = true) => inArray(Uint16Array, dtype, own, (data) => ({ data, dtype }));
const FLOAT32: readonly Holder[] = [
  inArray(Float32Array, "f32", true, as),
  inArray(Float32Array, "f32", true, (data) => ({ data, dtype: "f32" })),
  onDevice("f32"),
];
const CONVERTED: readonly Holder[] = [
  inArray(Float64Array, "f64", false, as),
  copied((numbers) => [...numbers]),
  copied((numbers) => Object.freeze([...numbers])),
];
const TOKENS: readonly Holder[] = [
  inArray(Int32Array, "i32", false, as),
  inArray(Uint32Array, "u32", false, as),
  copied((numbers) => BigInt64Array.from(numbers, BigInt)),
  copied((numbers) => [...numbers]),
  onDevice("i32"),
];

/** The holders of an input of a role; outputs of the policy keep their dtype, and other inputs are converted to float32. */
export function holdersOf(role: Role, dtype: "f32" | "bf16" | "f16"): readonly Holder[] {
  if (role === "tokens") return TOKENS;
  if (role === "input") return [...FLOAT32, ...CONVERTED, half("bf16", false), half("f16", false)];
  return dtype === "f32" ? [...FLOAT32, ...CONVERTED] : [half(dtype), onDevice(dtype)];
}
