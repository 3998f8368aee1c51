import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, test } from "vitest";
import type { Command, Matrix, NativeDevice } from "../../runtime/addon/native.js";
import { bytesOf, makeArray, narrowInto, type TypedArray, widen } from "../../runtime/devices/dtypes.js";
import { FakeMachine } from "./fake/machine.js";
import { addon, expectCode } from "./support.js";

type Dtype = Matrix["dtype"];

interface Case {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly alpha: number;
  readonly beta: number;
  /** Of a and b. */
  readonly dtype: Dtype;
  readonly dtypeC: Dtype;
}

/** Entries before and behind each matrix in its memory: an odd number, so that 16-bit matrices lie where no word begins. */
const MARGIN = 3;

/** The pattern of memory that a product must not write: a NaN in every dtype, with any margin. */
function poisoned(dtype: Dtype, length: number): TypedArray {
  const array = makeArray(dtype, length);
  narrowInto(array, dtype, new Float64Array(length).fill(Number.NaN));
  return array;
}

/** The numbers in the dtype, between margins. */
function placed(dtype: Dtype, numbers: ArrayLike<number>): TypedArray {
  const array = poisoned(dtype, numbers.length + 2 * MARGIN);
  narrowInto(array.subarray(MARGIN, MARGIN + numbers.length), dtype, numbers);
  return array;
}

const within = (array: TypedArray) => array.subarray(MARGIN, array.length - MARGIN);

/** Whole numbers from -8 to 8, which every dtype holds, and whose products float32 adds up without a rounding. */
const whole = (length: number, seed: number) =>
  Float64Array.from({ length }, (_, i) => (((i * 7919 + seed * 104729) % 8191) % 17) - 8);

const uneven = (length: number, seed: number) =>
  Float64Array.from({ length }, (_, i) => {
    const x = Math.sin(12.9898 * (i + 1) + 78.233 * seed) * 43758.5453;
    return 2 * (x - Math.floor(x)) - 1;
  });

/** op(a) · op(b) in float64. */
function termsOf(x: Case, a: Float64Array, b: Float64Array): Float64Array {
  const { m, n, k } = x;
  const result = new Float64Array(m * n);
  for (let row = 0; row < m; row++) {
    for (let i = 0; i < k; i++) {
      const factor = a[x.transposeA ? i * m + row : row * k + i] as number;
      for (let column = 0, at = row * n; column < n; column++, at++)
        result[at] = (result[at] as number) + factor * (b[x.transposeB ? column * k + i : i * n + column] as number);
    }
  }
  return result;
}

/** alpha · op(a) · op(b) + beta · c in float64. `terms` is op(a) · op(b), where it is known. */
function product(x: Case, a: Float64Array, b: Float64Array, c: Float64Array, terms = termsOf(x, a, b)): Float64Array {
  return terms.map((sum, i) => x.alpha * sum + (x.beta === 0 ? 0 : x.beta * (c[i] as number)));
}

/** Runs the product on operands that are parts of larger memories; gives the bits of c and sees to it that nothing else was written. */
async function run(device: NativeDevice, x: Case, a: Float64Array, b: Float64Array, c: Float64Array | null): Promise<TypedArray> {
  const { dtype, dtypeC, ...shape } = x;
  // A beta of 0 reads nothing, not even NaN.
  const out = c === null ? poisoned(dtypeC, x.m * x.n + 2 * MARGIN) : placed(dtypeC, c);
  const contents = [placed(dtype, a), placed(dtype, b), out];
  const buffers = contents.map((content) => device.allocate(content.byteLength));
  const matrix = (i: number, of: Dtype): Matrix => ({ memory: buffers[i] as never, offset: MARGIN * bytesOf(of), dtype: of });
  await device.run([
    ...contents.map((from, i): Command => ({ kind: "write", to: buffers[i] as never, offset: 0, from })),
    { kind: "matmul", ...shape, a: matrix(0, dtype), b: matrix(1, dtype), c: matrix(2, dtypeC) },
    { kind: "read", from: buffers[2] as never, offset: 0, to: out },
  ]);
  for (const buffer of buffers) buffer.dispose();
  const margins = [...widen(out.subarray(0, MARGIN), dtypeC), ...widen(out.subarray(out.length - MARGIN), dtypeC)];
  expect(margins.every(Number.isNaN), "the margins of c").toBe(true);
  return within(out);
}

const dtypes: readonly (readonly [Dtype, Dtype])[] = [
  ["f32", "f32"],
  ["bf16", "bf16"],
  ["bf16", "f32"],
  ["f16", "f16"],
  ["f16", "f32"],
];
const sizes: readonly (readonly [number, number, number])[] = [
  [1, 1, 1],
  [3, 5, 7],
  [17, 4, 33],
  [64, 96, 50],
  // No term, no row, no column: c is scaled, or there is none.
  [4, 3, 0],
  [0, 3, 2],
  [3, 0, 2],
  // Several tiles, and more terms than are widened at once.
  [131, 257, 301],
  [261, 35, 260],
  // More terms than are taken at once of what lies in float32.
  [2, 3, 9001],
];
const scales = [
  { alpha: 1, beta: 0 },
  { alpha: 1, beta: 1 },
  { alpha: -0.5, beta: 2 },
];

/** Every way to lay out and to scale a product of this size. */
function* cases([m, n, k]: readonly [number, number, number]): Generator<Case> {
  for (const [dtype, dtypeC] of dtypes)
    for (const transposeA of [false, true])
      for (const transposeB of [false, true])
        for (const scale of scales) yield { m, n, k, transposeA, transposeB, ...scale, dtype, dtypeC };
}

const machine = new FakeMachine();
afterAll(() => machine.remove());

const openblas = addon.libraries().openblas;
const skipped = openblas.path === undefined ? ` (skipped, there is no OpenBLAS: ${openblas.problem})` : "";

describe.each<[string, boolean, NativeDevice]>([
  ["cpu", true, addon.openCpu({ threads: 0 })],
  ["emulated", true, addon.openEmulated({ order: "forward" })],
  ["cuda:0 (fake)", false, addon.openCuda({ ordinal: 0 })],
])("matrix products on %s", (_name, host, device) => {
  afterAll(() => device.dispose());
  const absent = host ? skipped : "";

  test.skipIf(absent !== "").each(sizes)(`%i × %i × %i, every dtype and layout, to the bit${absent}`, async (...size) => {
    const [m, n, k] = size;
    const [a, b, c] = [whole(m * k, 1), whole(k * n, 2), whole(m * n, 3)];
    // Sums of whole numbers are exact: they are the same whatever scales them and whatever dtype holds them.
    const layouts = new Map<string, Float64Array>();
    for (const x of cases(size)) {
      const layout = `${x.transposeA}, ${x.transposeB}`;
      const terms = layouts.get(layout) ?? termsOf(x, a, b);
      layouts.set(layout, terms);
      const expected = makeArray(x.dtypeC, m * n);
      narrowInto(expected, x.dtypeC, product(x, a, b, c, terms));
      const result = await run(device, x, a, b, x.beta === 0 ? null : c);
      const wrong = result.findIndex((bits, i) => bits !== expected[i]);
      expect(wrong, `entry ${wrong} of ${JSON.stringify(x)}: ${result[wrong]} in place of ${expected[wrong]}`).toBe(-1);
    }
  });

  test.skipIf(absent !== "").each(dtypes)(`%s into %s, rounded once${absent}`, async (dtype, dtypeC) => {
    const x = { m: 37, n: 65, k: 513, transposeA: false, transposeB: true, alpha: 1, beta: 1, dtype, dtypeC };
    const [a, b, c] = [x.m * x.k, x.k * x.n, x.m * x.n].map(uneven) as [Float64Array, Float64Array, Float64Array];
    const inDtype = (numbers: Float64Array, of: Dtype) => widen(within(placed(of, numbers)), of);
    const expected = product(x, inDtype(a, dtype), inDtype(b, dtype), inDtype(c, dtypeC));
    const result = widen(await run(device, x, a, b, c), dtypeC);
    // Half a unit in the last place of what c holds, and what float32 loses of 513 terms of at most 1.
    const unit = { f32: 2 ** -24, bf16: 2 ** -9, f16: 2 ** -12 }[dtypeC];
    for (const [i, value] of expected.entries())
      expect(Math.abs((result[i] as number) - value)).toBeLessThanOrEqual(2 * unit * Math.abs(value) + 5e-5);
  });

  test.skipIf(absent !== "")(`what is too large for f16 is infinite, and NaN stays NaN${absent}`, async () => {
    const shape = { m: 1, n: 3, k: 1, transposeA: false, transposeB: false, alpha: 1, beta: 0 };
    const a = Float64Array.of(256);
    const b = Float64Array.of(255.75, 256, Number.NaN);
    const half = await run(device, { ...shape, dtype: "f16", dtypeC: "f16" }, a, b, null);
    expect([...half].map((bits) => bits & 0x7fff)).toEqual([0x7bfe, 0x7c00, 0x7e00]);
    const wide = await run(device, { ...shape, dtype: "f16", dtypeC: "f32" }, a, b, null);
    expect([...wide]).toEqual([65472, 65536, Number.NaN]);
  });

  test("mistakes", async () => {
    const buffer = device.allocate(64);
    const matrix = (offset: number, dtype: Dtype = "f32"): Matrix => ({ memory: buffer, offset, dtype });
    const good = {
      kind: "matmul",
      a: matrix(0),
      b: matrix(24),
      c: matrix(48),
      m: 2,
      n: 2,
      k: 3,
      transposeA: false,
      transposeB: false,
      alpha: 1,
      beta: 0,
    } as const;
    const refused = (change: object, message: RegExp) =>
      expectCode("USAGE", () => device.run([{ ...good, ...change } as Command]), message);
    await refused({ c: matrix(52) }, /c has 12 bytes from offset 52 on, fewer than 2 × 2 of f32/);
    await refused({ a: matrix(44) }, /a has 20 bytes/);
    await refused({ k: 11 }, /b has 40 bytes|a has 64 bytes/);
    await refused({ a: matrix(65) }, /the offset of a must be a whole number from 0 to 64/);
    await refused({ a: matrix(-4) }, /the offset of a/);
    await refused({ a: matrix(2) }, /a is not aligned to f32/);
    await refused({ a: matrix(1, "bf16"), b: matrix(24, "bf16") }, /a is not aligned to bf16/);
    await refused({ a: matrix(0, "f64" as Dtype) }, /the dtype of a must be "f32", "bf16" or "f16", not "f64"/);
    await refused({ a: buffer }, /memory of a/);
    await refused({ a: undefined }, /a must be an object/);
    await refused({ m: 1.5 }, /m must be/);
    await refused({ m: 2 ** 31 }, /m must be/);
    await refused({ transposeA: 1 }, /transposeA must be a boolean/);
    await refused({ alpha: "1" }, /alpha must be a number/);
    // A product overwrites what it has yet to read.
    await refused({ c: matrix(20) }, /c and a overlap/);
    await refused({ c: matrix(40) }, /c and b overlap/);
    const pairs = [
      ["f32", "bf16", "f32"],
      ["f32", "f32", "bf16"],
      ["bf16", "f16", "f32"],
      ["bf16", "bf16", "f16"],
      ["f16", "f16", "bf16"],
    ] as const;
    for (const [a, b, c] of pairs)
      await refused(
        { a: matrix(0, a), b: matrix(24, b), c: matrix(48, c) },
        new RegExp(`no product of ${a} by ${b} into ${c}: a and b have the same dtype, and c has that or f32`),
      );
    if (host) {
      const bytes = new Uint8Array(100);
      await refused({ a: { memory: bytes.subarray(1), offset: 0, dtype: "f32" } }, /a is not aligned/);
    } else await refused({ a: { memory: new Float32Array(6), offset: 0, dtype: "f32" } }, /must be a buffer of the device/);
    // Where there is nothing to write, nothing overlaps.
    await device.run([{ ...good, m: 0, c: matrix(0) }]);
  });
});

test.skipIf(skipped !== "").each(dtypes)(
  `%s into %s has the same bits for any number of threads${skipped}`,
  async (dtype, dtypeC) => {
    const x = { m: 300, n: 530, k: 700, transposeA: true, transposeB: false, alpha: 1, beta: 0, dtype, dtypeC };
    const results: string[] = [];
    for (const threads of [1, 2, 5]) {
      const device = addon.openCpu({ threads });
      const bits = await run(device, x, uneven(x.m * x.k, 1), uneven(x.k * x.n, 2), null);
      results.push(Buffer.from(bits.slice().buffer).toString("base64"));
      await device.dispose();
    }
    expect(new Set(results).size).toBe(1);
  },
);

test.skipIf(skipped !== "").each(["f32", "bf16"] as const)(
  `an abort is heard in the middle of a product of %s${skipped}`,
  async (dtype) => {
    const device = addon.openCpu({ threads: 0 });
    const side = 6144;
    const a = makeArray(dtype, side * side);
    narrowInto(a, dtype, new Float32Array(a.length).fill(1));
    const c = new Float32Array(side * side);
    const large: Command = {
      kind: "matmul",
      a: { memory: a, offset: 0, dtype },
      b: { memory: a, offset: 0, dtype },
      c: { memory: c, offset: 0, dtype: "f32" },
      m: side,
      n: side,
      k: side,
      transposeA: false,
      transposeB: false,
      alpha: 1,
      beta: 0,
    };
    const abort = new Int32Array(new SharedArrayBuffer(4));
    const running = expectCode("ABORTED", () => device.run([large], abort));
    while (c[0] === 0) await sleep(1);
    const asked = performance.now();
    Atomics.store(abort, 0, 1);
    await running;
    expect(performance.now() - asked).toBeLessThan(1000);
    expect(c.at(-1)).toBe(0);
    const x = { m: 5, n: 4, k: 3, transposeA: false, transposeB: false, alpha: 1, beta: 0, dtype: "f32", dtypeC: "f32" } as const;
    const [left, right] = [whole(15, 1), whole(12, 2)];
    expect([...(await run(device, x, left, right, null))]).toEqual([...product(x, left, right, left)]);
    await device.dispose();
  },
);
