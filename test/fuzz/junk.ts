/** Junk values that replace an argument, or a part of one. */
import fc from "fast-check";

/** Thrown by junk itself, as by the caller's own code: it may come back as it is. */
export class JunkError extends Error {
  override readonly name = "JunkError";
}

function throwJunk(): never {
  throw new JunkError("junk was asked");
}

const detached = <T extends ArrayBufferView>(view: T): T => {
  structuredClone(view.buffer, { transfer: [view.buffer as ArrayBuffer] });
  return view;
};

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

const isPlain = (value: unknown): value is object => isObject(value) && Object.getPrototypeOf(value) === Object.prototype;

const THROWING: ProxyHandler<object> = {
  get: throwJunk,
  has: throwJunk,
  ownKeys: throwJunk,
  getOwnPropertyDescriptor: throwJunk,
};

/** The types are of ES2023, Node knows the option. */
const Resizable = ArrayBuffer as unknown as new (bytes: number, options: { readonly maxByteLength: number }) => ArrayBuffer;

/** By name, so that a case can be printed and run again; each is given what it takes the place of. */
export const JUNK: Readonly<Record<string, (good: unknown) => unknown>> = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  "empty string": () => "",
  string: () => "x",
  "number in a string": () => "1",
  "NUL in a string": () => "a\0b",
  "long string": () => "x".repeat(100_000),
  zero: () => 0,
  one: () => 1,
  "minus one": () => -1,
  "minus zero": () => -0,
  half: () => 0.5,
  NaN: () => Number.NaN,
  Infinity: () => Number.POSITIVE_INFINITY,
  "-Infinity": () => Number.NEGATIVE_INFINITY,
  huge: () => 1e308,
  "2**31": () => 2 ** 31,
  "2**53": () => 2 ** 53,
  bigint: () => 1n,
  symbol: () => Symbol("junk"),
  function: () => () => 1,
  "function that gives nothing": () => () => undefined,
  "function that throws": () => throwJunk,
  "function that rejects": () => async () => throwJunk(),
  class: () => class {},
  "empty object": () => ({}),
  "object without a prototype": () => Object.create(null),
  "object with a bad toString": () => ({ toString: throwJunk, valueOf: throwJunk, constructor: null }),
  "object with a bad constructor": () => ({ constructor: { name: Symbol("name") } }),
  "object whose keys throw": () => Object.defineProperty({}, "data", { enumerable: true, get: throwJunk }),
  "empty array": () => [],
  hole: () => new Array(2).fill(1, 1),
  "many holes": () => new Array(1e6),
  "array of NaN": () => [Number.NaN],
  "array of strings": () => ["1"],
  "array of symbols": () => [Symbol("junk")],
  "array in an array": () => [[1]],
  "array of nothing": () => [undefined, null],
  "array whose elements throw": () => Object.defineProperty([1, 2], 0, { enumerable: true, get: throwJunk }),
  "array that ends itself": () => [1, 2].map((x, _, all) => Object.defineProperty([x], 0, { get: () => (all.length = 0) })),
  map: () => new Map([["logits", 1]]),
  date: () => new Date(Number.NaN),
  error: () => new Error("junk"),
  promise: () => Promise.resolve(1),
  // biome-ignore lint/suspicious/noThenProperty: it is what is wrong with it.
  thenable: () => ({ then: throwJunk }),
  "good, frozen": (good) => (Array.isArray(good) || isPlain(good) ? Object.freeze(good) : good),
  "good, through a proxy": (good) => (isObject(good) ? new Proxy(good, {}) : good),
  "good, inherited": (good) => (isObject(good) ? Object.create(good) : good),
  "good, doubled": (good) => (Array.isArray(good) ? [...good, ...good] : good),
  "proxy that throws": (good) => new Proxy(isObject(good) ? good : {}, THROWING),
  "array proxy that throws": () => new Proxy([1, 2], THROWING),
  ArrayBuffer: () => new ArrayBuffer(8),
  DataView: () => new DataView(new ArrayBuffer(8)),
  Buffer: () => Buffer.from([1, 2, 3]),
  Uint8Array: () => Uint8Array.of(1, 2),
  Uint16Array: () => Uint16Array.of(1, 2),
  Int32Array: () => Int32Array.of(1, -2),
  Float32Array: () => Float32Array.of(1, Number.NaN),
  Float64Array: () => Float64Array.of(1, 1e300),
  BigInt64Array: () => BigInt64Array.of(1n, -(2n ** 62n)),
  "empty Float32Array": () => new Float32Array(0),
  "detached Float32Array": () => detached(new Float32Array(4)),
  "detached Int32Array": () => detached(new Int32Array(3)),
  "Float32Array that grows": () => new Float32Array(new Resizable(16, { maxByteLength: 64 })),
  "Float32Array out of bounds": () => {
    const memory = new Resizable(16, { maxByteLength: 64 });
    const array = new Float32Array(memory, 4, 3);
    (memory as ArrayBuffer & { resize(bytes: number): void }).resize(8);
    return array;
  },
  "shared Float32Array": () => new Float32Array(new SharedArrayBuffer(16)),
  "no Float32Array": () => Object.create(Float32Array.prototype),
  "Float32Array with a length of its own": (good) =>
    Object.defineProperty(new Float32Array(3), "length", {
      value: Array.isArray(good) || good instanceof Float32Array ? good.length : 4000,
    }),
  "half without data": () => ({ dtype: "bf16" }),
  "half with the wrong data": () => ({ data: new Float32Array(2), dtype: "f16" }),
  "half of an unknown dtype": () => ({ data: new Uint16Array(2), dtype: "f8" }),
  "half whose data throws": () => ({
    dtype: "bf16",
    get data() {
      return throwJunk();
    },
  }),
  "array-like": () => ({ length: 3, 0: 1, 1: 1, 2: 1 }),
  "array-like of negative length": () => ({ length: -1 }),
  "buffer's request": () => ({ dtype: "f32", length: 2 ** 53 }),
  AbortSignal: () => AbortSignal.abort(),
  "no AbortSignal": () => ({ aborted: false }),
};

/** A place in the arguments, counted through all there are, and what is put there. */
export interface Spoil {
  readonly at: number;
  readonly junk: string;
}

/** None in half of the calls, which then ought to be well-formed. */
export const spoils: fc.Arbitrary<readonly Spoil[]> = fc.oneof(
  fc.constant([]),
  fc.array(fc.record({ at: fc.nat(99), junk: fc.constantFrom(...Object.keys(JUNK)) }), { minLength: 1, maxLength: 2 }),
);

type Path = readonly (string | number)[];

/** Names that no call knows, and those that every object has. */
const STRANGE = ["extra", "constructor", "__proto__", "toString"];

function placesIn(value: unknown, path: Path, depth: number): Path[] {
  const own = path.length > 0 ? [path] : [];
  // A frozen object is a loss that lossc made, not an argument to rebuild.
  if (!isObject(value) || depth === 0 || Object.isFrozen(value)) return own;
  if (ArrayBuffer.isView(value)) return "length" in value && value.length ? [...own, [...path, 0]] : own;
  if (!Array.isArray(value) && !isPlain(value)) return own;
  const keys = Array.isArray(value) ? value.map((_, i) => i).slice(0, 4) : [...Object.keys(value), ...STRANGE];
  return [
    ...own,
    ...keys.flatMap((key) => placesIn(Object.hasOwn(value, key) ? (value as never)[key] : undefined, [...path, key], depth - 1)),
  ];
}

/** Puts junk into some places of the arguments. */
export function spoil<T extends unknown[]>(args: T, spoiling: readonly Spoil[]): T {
  const places = placesIn(args, [], 6);
  const chosen = spoiling.map(({ at, junk }) => ({ path: places[at % places.length] as Path, junk }));
  // Deepest first: nothing is looked for inside of junk.
  for (const { path, junk } of chosen.sort((a, b) => b.path.length - a.path.length)) {
    let holder: object = args;
    for (const key of path.slice(0, -1)) holder = (holder as never)[key];
    const key = path.at(-1) as string;
    const value = JUNK[junk]?.(Object.hasOwn(holder, key) ? (holder as never)[key] : undefined);
    if (!ArrayBuffer.isView(holder))
      Object.defineProperty(holder, key, { value, enumerable: true, writable: true, configurable: true });
    else if (typeof value === "number") (holder as unknown as number[])[0] = value;
  }
  return args;
}
