/** native/core/halves.h beside runtime/devices/dtypes.ts, and beside what the kernels compute. */
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { stepUnit } from "../../codegen/emit/index.js";
import type { NativeModule } from "../../runtime/addon/native.js";
import { fromBf16, fromF16, toBf16, toF16 } from "../../runtime/devices/dtypes.js";
import { addon, compileKernels, launch } from "./support.js";

const header = fileURLToPath(new URL("../../native/core/halves.h", import.meta.url));
const device = addon.openCpu({ threads: 1 });
afterAll(() => device.dispose());

/** Entries of the same names and arguments: `widen0` and `narrow0` are bf16, `widen1` and `narrow1` f16. */
const ours = await device.load(
  compileKernels(
    `#include "${header}"
using namespace lossc::halves;
struct Args { long long n; void* from; void* to; };
#define ARGUMENTS(name) extern "C" void name(const void* p, long long begin, long long end)
#define WIDEN(name, Half) ARGUMENTS(name) { \\
  const auto& a = *static_cast<const Args*>(p); widen<Half>((const Bits*)a.from + begin, (float*)a.to + begin, end - begin); }
#define NARROW(name, Half) ARGUMENTS(name) { \\
  const auto& a = *static_cast<const Args*>(p); narrow<Half>((const float*)a.from + begin, 0, (Bits*)a.to + begin, end - begin); }
#define ADD(name, Half) ARGUMENTS(name) { \\
  const auto& a = *static_cast<const Args*>(p); narrow<Half>((const float*)a.from + begin, 0.5f, (Bits*)a.to + begin, end - begin); }
WIDEN(k0, Bf16) WIDEN(k1, F16) NARROW(k2, Bf16) NARROW(k3, F16) ADD(k4, Bf16) ADD(k5, F16)
`,
    "c++20",
  ),
);

const copy = (id: number, from: string, to: string) => ({
  id: `k${id}`,
  body: `struct K${id} {
  struct Args { index n; const ${from}* from; ${to}* to; };
  LOSSC_FN static void element(const Args& a, index i) { store(a.to, i, load(a.from, i)); }
};`,
});
const kernels = await device.load(
  compileKernels(
    stepUnit({
      target: "cpu",
      comment: "Conversions.",
      kernels: [copy(0, "bf16", "float"), copy(1, "f16", "float"), copy(2, "float", "bf16"), copy(3, "float", "f16")],
    }).text,
  ),
);

type Words = Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

async function convert<T extends Words>(module: NativeModule, kernel: number, from: Words, to: T): Promise<T> {
  await device.run([
    launch(module, `k${kernel}`, [{ int: from.length }, { pointer: from }, { pointer: to }], { elements: from.length }),
  ]);
  return to;
}

/** Where two arrays differ first. */
const difference = (x: Words, y: Words) => x.findIndex((word, i) => word !== y[i]);
const floats = (words: Uint32Array<ArrayBuffer>) => new Float32Array(words.buffer);

const everyHalf = Uint16Array.from({ length: 65536 }, (_, i) => i);

describe.each([
  { dtype: "bf16", kernel: 0, fraction: 16, from: fromBf16, to: toBf16, quiet: () => 0x7fc0 },
  { dtype: "f16", kernel: 1, fraction: 13, from: fromF16, to: toF16, quiet: (sign: number) => sign | 0x7e00 },
])("$dtype", ({ kernel, fraction, from, to, quiet }) => {
  test("every half is widened", async () => {
    const wide = await convert(ours, kernel, everyHalf, new Uint32Array(65536));
    const expected = Float32Array.from(everyHalf, from);
    expect(floats(wide).findIndex((x, i) => !Object.is(x, expected[i]))).toBe(-1);
    expect(difference(wide, await convert(kernels, kernel, everyHalf, new Uint32Array(65536)))).toBe(-1);
  });

  test("float32 is narrowed: every half, what lies about the middle of two, and random bits", async () => {
    const wide = await convert(ours, kernel, everyHalf, new Uint32Array(65536));
    const words = [...wide].flatMap((word) =>
      [-1, 0, 1, (1 << fraction) / 2 - 1, (1 << fraction) / 2, (1 << fraction) / 2 + 1].map((d) => (word + d) >>> 0),
    );
    let state = 1;
    for (let i = 0; i < 1 << 19; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      words.push((state ^ (state << 13)) >>> 0);
    }
    const source = Uint32Array.from(words);
    const expected = Uint16Array.from(floats(source), (x, i) =>
      Number.isNaN(x) ? quiet(((source[i] as number) >>> 16) & 0x8000) : to(x),
    );
    const narrowed = await convert(ours, kernel + 2, source, new Uint16Array(source.length));
    expect(difference(narrowed, expected)).toBe(-1);
    expect(difference(await convert(kernels, kernel + 2, source, new Uint16Array(source.length)), expected)).toBe(-1);
  });

  test("what is added to a half is rounded with it, once", async () => {
    const sums = Float32Array.from(everyHalf, (_, i) => Math.sin(i) * 3);
    const halves = everyHalf.slice();
    await convert(ours, kernel + 4, new Uint32Array(sums.buffer), halves);
    const expected = Uint16Array.from(everyHalf, (half, i) => {
      const x = Math.fround((sums[i] as number) + Math.fround(0.5 * from(half)));
      return Number.isNaN(x) ? quiet(half & 0x8000) : to(x);
    });
    expect(difference(halves, expected)).toBe(-1);
  });
});
