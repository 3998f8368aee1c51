import { afterAll, describe, expect, test } from "vitest";
import type { Memory, NativeDevice } from "../../runtime/native.js";
import { addon, expectCode } from "./support.js";

interface Case {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly alpha: number;
  readonly beta: number;
}

function naive(a: Float32Array, b: Float32Array, c: Float32Array, x: Case): number[] {
  const result: number[] = [];
  for (let row = 0; row < x.m; row++) {
    for (let column = 0; column < x.n; column++) {
      let sum = 0;
      for (let i = 0; i < x.k; i++) {
        sum +=
          (a[x.transposeA ? i * x.m + row : row * x.k + i] ?? 0) * (b[x.transposeB ? column * x.k + i : i * x.n + column] ?? 0);
      }
      result.push(x.alpha * sum + (x.beta === 0 ? 0 : x.beta * (c[row * x.n + column] ?? 0)));
    }
  }
  return result;
}

const numbers = (length: number, seed: number) =>
  Float32Array.from({ length }, (_, i) => ((i * 7919 + seed * 104729) % 201) / 100 - 1);

const cases: Case[] = [];
for (const [m, n, k] of [
  [1, 1, 1],
  [3, 5, 7],
  [17, 4, 33],
  [64, 96, 50],
  [4, 3, 0],
  [0, 3, 2],
] as const) {
  for (const transposeA of [false, true]) {
    for (const transposeB of [false, true]) {
      cases.push(
        { m, n, k, transposeA, transposeB, alpha: 1, beta: 0 },
        { m, n, k, transposeA, transposeB, alpha: -0.5, beta: 2 },
      );
    }
  }
}

const openblas = addon.libraries().openblas;

describe.each<[string, NativeDevice]>([
  ["cpu", addon.openCpu({ threads: 0 })],
  ["emulated", addon.openEmulated({ order: "forward" })],
])("matrix products on %s", (_name, device) => {
  afterAll(() => device.dispose());
  const skipped = openblas.path === undefined ? ` (skipped, there is no OpenBLAS: ${openblas.problem})` : "";

  test.skipIf(skipped !== "").each(cases)(`$m × $n × $k, $transposeA, $transposeB, $alpha, $beta${skipped}`, async (x) => {
    const a = numbers(x.m * x.k, 1);
    const b = numbers(x.k * x.n, 2);
    // A beta of 0 reads nothing, not even NaN.
    const c = x.beta === 0 ? new Float32Array(x.m * x.n).fill(Number.NaN) : numbers(x.m * x.n, 3);
    const expected = naive(a, b, c, x);
    const [deviceA, deviceB] = [a, b].map((values) => device.allocate(values.byteLength)) as [Memory, Memory];
    await device.run([
      { kind: "write", to: deviceA as never, offset: 0, from: a },
      { kind: "write", to: deviceB as never, offset: 0, from: b },
      { kind: "matmul", a: deviceA, b: deviceB, c, ...x },
    ]);
    expect(c.length).toBe(expected.length);
    for (const [i, value] of c.entries()) expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 4);
  });

  test("mistakes", async () => {
    const a = new Float32Array(6);
    const good = {
      kind: "matmul",
      a,
      b: a,
      c: new Float32Array(4),
      m: 2,
      n: 2,
      k: 3,
      transposeA: false,
      transposeB: false,
      alpha: 1,
      beta: 0,
    } as const;
    await expectCode(
      "USAGE",
      () => device.run([{ ...good, c: new Float32Array(3) }]),
      /c has 12 bytes, fewer than 2 × 2 float32/,
    );
    await expectCode("USAGE", () => device.run([{ ...good, k: 4 }]), /a has 24 bytes/);
    await expectCode("USAGE", () => device.run([{ ...good, m: 1.5 }]), /m must be/);
    await expectCode("USAGE", () => device.run([{ ...good, m: 2 ** 31 }]), /m must be/);
    await expectCode(
      "USAGE",
      () => device.run([{ ...good, transposeA: 1 as unknown as boolean }]),
      /transposeA must be a boolean/,
    );
    await expectCode("USAGE", () => device.run([{ ...good, alpha: "1" as unknown as number }]), /alpha must be a number/);
    await expectCode("USAGE", () => device.run([{ ...good, a: new Uint8Array(100).subarray(1) }]), /aligned/);
  });
});
