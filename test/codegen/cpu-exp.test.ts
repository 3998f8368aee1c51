/** The vocabulary's exp on the CPU: to 1.5 ulp over its whole range, exact where the language says so. */
import { expect, test } from "vitest";
import { openDevice } from "../../runtime/index.js";

const UNIT = {
  comment: "exp of packets",
  kernels: [
    {
      id: "k0",
      body: `struct K0 {
  struct Args { const float* from; float* to; };
  LOSSC_FN static void element(const Args& a, index i) { narrow_packet(exp_(widen_packet(a.from + i * kLanes)), a.to + i * kLanes); }
};`,
    },
  ],
};

async function exps(values: readonly number[]): Promise<Float32Array> {
  await using device = await openDevice("cpu");
  const from = new Float32Array(Math.ceil(values.length / 16) * 16);
  from.set(values);
  const to = new Float32Array(from.length);
  const unit = await device.loadUnit(UNIT);
  await device.native?.run([unit.launch("k0", from.length / 16, [from, to])]);
  return to.subarray(0, values.length);
}

/** The distance between neighbours at a number of float32. */
function ulp(x: number): number {
  return 2 ** (Math.max(Math.floor(Math.log2(x)), -126) - 23);
}

test("is within 1.5 ulp wherever the result is a normal number", async () => {
  const values = Array.from({ length: 400_000 }, (_, i) => Math.fround(-87.3 + (i / 400_000) * (88.7 + 87.3)));
  const found = await exps(values);
  let worst = 0;
  values.forEach((x, i) => {
    const wanted = Math.exp(x);
    worst = Math.max(worst, Math.abs((found[i] as number) - wanted) / ulp(wanted));
  });
  expect(worst).toBeLessThan(1.5);
});

test("is exact at 0 and at both ends, and keeps NaN", async () => {
  const { NaN: nan, POSITIVE_INFINITY: inf, NEGATIVE_INFINITY: none } = Number;
  expect([...(await exps([0, -0, none, inf, nan, -1000, 1000]))]).toEqual([1, 1, 0, inf, nan, 0, inf]);
});

test("falls to 0 without a step upwards", async () => {
  const found = await exps(Array.from({ length: 3000 }, (_, i) => -86 - i / 100));
  for (let i = 1; i < found.length; i++) expect(found[i] as number).toBeLessThanOrEqual(found[i - 1] as number);
  expect(found.at(-1)).toBe(0);
});
