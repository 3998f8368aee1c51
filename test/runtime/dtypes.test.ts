import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  bytesOf,
  convert,
  fromBf16,
  fromF16,
  holds,
  makeArray,
  narrowInto,
  toBf16,
  toF16,
  widen,
} from "../../runtime/devices/dtypes.js";

const HALVES = [
  { name: "bf16", to: toBf16, from: fromBf16 },
  { name: "f16", to: toF16, from: fromF16 },
] as const;

describe.each(HALVES)("$name", ({ to, from }) => {
  test("every value survives the way there and back", () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = from(bits);
      if (Number.isNaN(value)) expect(Number.isNaN(from(to(value)))).toBe(true);
      else if (to(value) !== bits) throw new Error(`0x${bits.toString(16)} came back as 0x${to(value).toString(16)}`);
    }
  });

  test("a float32 goes to the nearest value, ties to the even one", () => {
    const finite = fc.float({ noNaN: true, noDefaultInfinity: true, min: -60000, max: 60000 });
    fc.assert(
      fc.property(finite, (value) => {
        const bits = to(value);
        const error = Math.abs(from(bits) - value);
        const sign = bits & 0x8000;
        for (const other of [(bits & 0x7fff) - 1, (bits & 0x7fff) + 1]) {
          if (other < 0) continue;
          const theirs = Math.abs(from(sign | other) - value);
          expect(error <= theirs).toBe(true);
          if (error === theirs) expect(bits & 1).toBe(0);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("infinities and NaN stay what they are", () => {
    expect(from(to(Number.POSITIVE_INFINITY))).toBe(Number.POSITIVE_INFINITY);
    expect(from(to(Number.NEGATIVE_INFINITY))).toBe(Number.NEGATIVE_INFINITY);
    expect(from(to(Number.NaN))).toBeNaN();
    expect(Object.is(from(to(-0)), -0)).toBe(true);
  });
});

test("half precision at its edges", () => {
  expect(fromF16(0x0001)).toBe(2 ** -24);
  expect(toF16(2 ** -25)).toBe(0);
  expect(toF16(1.5 * 2 ** -24)).toBe(2);
  expect(fromF16(0x7bff)).toBe(65504);
  expect(toF16(65519)).toBe(0x7bff);
  expect(toF16(65520)).toBe(0x7c00);
  expect(toF16(1)).toBe(0x3c00);
});

test("bfloat16 rounds a tie to even and overflows to infinity", () => {
  expect(toBf16(1)).toBe(0x3f80);
  expect(toBf16(1 + 2 ** -8)).toBe(0x3f80);
  expect(toBf16(1 + 3 * 2 ** -8)).toBe(0x3f82);
  expect(fromBf16(toBf16(3.4e38))).toBe(Number.POSITIVE_INFINITY);
});

test("arrays of every dtype", () => {
  for (const dtype of ["f32", "f64", "bf16", "f16", "i32", "u32"] as const) {
    const array = makeArray(dtype, 3);
    expect(array.byteLength).toBe(3 * bytesOf(dtype));
    expect(holds(array, dtype)).toBe(true);
  }
  expect(holds(new Uint16Array(1), "f32")).toBe(false);
  expect(holds([1], "f64")).toBe(false);
});

test("conversion copies only where the dtype changes", () => {
  const array = Float32Array.of(1, -2.5);
  expect(convert(array, "f32", "f32")).toBe(array);
  expect(convert(array, "f32", "bf16")).toEqual(Uint16Array.of(0x3f80, 0xc020));
  expect(convert(Uint16Array.of(0x3f80), "bf16", "f32")).toEqual(Float32Array.of(1));
  expect(widen(Uint16Array.of(0x3c00, 0xc000), "f16")).toEqual(Float64Array.of(1, -2));
  const halves = new Uint16Array(2);
  narrowInto(halves, "f16", [1, -2]);
  expect(halves).toEqual(Uint16Array.of(0x3c00, 0xc000));
});
