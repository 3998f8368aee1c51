/** The vocabulary's exp and log on the CPU, over their whole range, exact where the language says so. */
import { describe, expect, test } from "vitest";
import { openDevice } from "../../runtime/index.js";
import { HERE, OTHERS } from "../runtime/processors.js";
import { withEnvironment } from "../runtime/support.js";

type Name = "exp_" | "exp2_" | "log_";

const unitOf = (name: Name) => ({
  comment: `${name} of packets`,
  kernels: [
    {
      id: "k0",
      body: `struct K0 {
  struct Args { const float* from; float* to; };
  LOSSC_FN static void element(const Args& a, index i) {
    for (index at = 16 * i; at < 16 * (i + 1); at += kLanes) narrow_packet(${name}(widen_packet(a.from + at)), a.to + at);
  }
};`,
    },
  ],
});

/** NaN as GPUs write it, negative, and with something in its last bits. */
const NANS = new Float32Array(Uint32Array.of(0x7fffffff, 0xffffffff, 0x7fc00001, 0x7fc00000).buffer);

/** The distance between neighbours at a number of float32. */
function ulp(x: number): number {
  return 2 ** (Math.max(Math.floor(Math.log2(Math.abs(x))), -126) - 23);
}

describe.each([HERE, ...OTHERS])("$name", ({ environment }) => {
  async function apply(name: Name, values: readonly number[] | Float32Array): Promise<Float32Array> {
    withEnvironment(environment);
    await using device = await openDevice("cpu");
    const from = new Float32Array(Math.ceil(values.length / 16) * 16);
    from.set(values);
    const to = new Float32Array(from.length);
    const unit = await device.loadModule(unitOf(name));
    await device.native?.run([unit.launch("k0", from.length / 16, [from, to])]);
    return to.subarray(0, values.length);
  }

  test("exp is within 1.5 ulp wherever the result is a normal number", async () => {
    const values = Array.from({ length: 400_000 }, (_, i) => Math.fround(-87.3 + (i / 400_000) * (88.7 + 87.3)));
    const found = await apply("exp_", values);
    let worst = 0;
    values.forEach((x, i) => {
      const wanted = Math.exp(x);
      worst = Math.max(worst, Math.abs((found[i] as number) - wanted) / ulp(wanted));
    });
    expect(worst).toBeLessThan(1.5);
  });

  test("exp is exact at 0 and at both ends, and keeps NaN", async () => {
    const { NaN: nan, POSITIVE_INFINITY: inf, NEGATIVE_INFINITY: none } = Number;
    expect([...(await apply("exp_", [0, -0, none, inf, nan, -1000, 1000]))]).toEqual([1, 1, 0, inf, nan, 0, inf]);
  });

  test("exp2 is within 1.5 ulp wherever the result is a normal number", async () => {
    const values = Array.from({ length: 400_000 }, (_, i) => Math.fround(-126 + (i / 400_000) * (126 + 127)));
    const found = await apply("exp2_", values);
    let worst = 0;
    values.forEach((x, i) => {
      const wanted = 2 ** x;
      worst = Math.max(worst, Math.abs((found[i] as number) - wanted) / ulp(wanted));
    });
    expect(worst).toBeLessThan(1.5);
  });

  test("exp2 is exact at whole numbers and where nothing is left, and keeps NaN", async () => {
    const { NaN: nan, NEGATIVE_INFINITY: none } = Number;
    expect([...(await apply("exp2_", [0, -0, -3, 5, none, nan, -1000, -151]))]).toEqual([1, 1, 0.125, 32, 0, nan, 0, 0]);
  });

  test("exp and exp2 keep every NaN, with any bits", async () => {
    for (const name of ["exp_", "exp2_"] as const) expect([...(await apply(name, NANS))].every(Number.isNaN), name).toBe(true);
  });

  test("exp falls to 0 without a step upwards", async () => {
    const found = await apply(
      "exp_",
      Array.from({ length: 3000 }, (_, i) => -86 - i / 100),
    );
    for (let i = 1; i < found.length; i++) expect(found[i] as number).toBeLessThanOrEqual(found[i - 1] as number);
    expect(found.at(-1)).toBe(0);
  });

  test("log is rounded once, also beside 1 and among the least numbers", async () => {
    const near = Array.from({ length: 100_000 }, (_, i) => Math.fround(1 + (i - 50_000) * 2 ** -24));
    const values = [...near, ...Array.from({ length: 300_000 }, (_, i) => Math.fround(2 ** (-149 + (i / 300_000) * 277)))];
    const found = await apply("log_", values);
    let worst = 0;
    values.forEach((x, i) => {
      const wanted = Math.log(x);
      if (wanted === 0) expect(found[i]).toBe(0);
      else worst = Math.max(worst, Math.abs((found[i] as number) - wanted) / ulp(wanted));
    });
    expect(worst).toBeLessThan(0.5001);
  });

  test("log is exact at 1 and at both ends, and is no number where there is none", async () => {
    const { NaN: nan, POSITIVE_INFINITY: inf, NEGATIVE_INFINITY: none } = Number;
    expect([...(await apply("log_", [1, 0, -0, inf, nan, none, -1]))]).toEqual([0, none, none, inf, nan, nan, nan]);
  });
});
