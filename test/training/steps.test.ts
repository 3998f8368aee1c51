/** The small kernels that policies are put together from, each beside a plain computation. */
import { describe, expect, test } from "vitest";
import { slotsByToken, TrainingSteps } from "../../index.js";
import type { Device } from "../../runtime/devices/device.js";
import type { Command, NativeBuffer } from "../../runtime/native.js";
import { expectClose } from "../runtime/support.js";
import { eachTrainingDevice, noise } from "./support.js";

/** Memory with a content, and a way to read it. */
async function workbench(device: Device) {
  const steps = await TrainingSteps.load(device);
  const put = async (content: Float32Array | Float64Array | Int32Array): Promise<NativeBuffer> => {
    const to = steps.native.allocate(Math.max(4, content.byteLength));
    if (content.length > 0) await steps.run([{ kind: "write", to, offset: 0, from: content }]);
    return to;
  };
  const result = async (program: readonly Command[], from: NativeBuffer, length: number): Promise<Float32Array> => {
    const to = new Float32Array(length);
    await steps.run([...program, { kind: "read", from, offset: 0, to }]);
    return to;
  };
  return { steps, put, result };
}

function accumulate(sums: Float64Array, i: number, x: number): void {
  sums[i] = (sums[i] as number) + x;
}

eachTrainingDevice((open) => {
  describe.each([
    { rows: 1, width: 1 },
    { rows: 3, width: 5 },
    { rows: 131, width: 37 },
  ])("$rows rows of $width", ({ rows, width }) => {
    const length = rows * width;

    test("gather and its transpose", async () => {
      const { steps, put, result } = await workbench(await open());
      const vocab = 7;
      const tokens = Int32Array.from(noise(rows), (x) => Math.floor((x + 1) * 0.5 * vocab));
      const [table, d, gathered] = [noise(vocab * width, 2), noise(length, 3), noise(vocab * width, 4)];
      const out = await put(new Float32Array(length));
      const forward = steps.gather({ tokens: await put(tokens), table: await put(table), out, slots: rows, width });
      expect(await result(forward, out, length)).toEqual(
        Float32Array.from({ length }, (_, i) => table[(tokens[Math.floor(i / width)] as number) * width + (i % width)] as number),
      );

      const { begin, order } = slotsByToken(tokens, vocab);
      const gradient = await put(gathered);
      const backward = steps.gatherTransposed({
        begin: await put(begin),
        order: await put(order),
        d: await put(d),
        gradient,
        tokens: vocab,
        width,
      });
      const expected = Float64Array.from(gathered);
      for (const [i, x] of d.entries()) accumulate(expected, (tokens[Math.floor(i / width)] as number) * width + (i % width), x);
      expectClose(await result(backward, gradient, vocab * width), expected);
    });

    test("bias, tanh and their gradients", async () => {
      const { steps, put, result } = await workbench(await open());
      const [x, bias, d, gathered] = [noise(length, 5), noise(width, 6), noise(length, 7), noise(width, 8)];
      const sum = Float32Array.from(x, (v, i) => v + (bias[i % width] as number));
      const plain = await put(x);
      expect(await result(steps.addBias({ bias: await put(bias), x: plain, rows, width }), plain, length)).toEqual(sum);
      const y = await put(x);
      const tanh = await result(steps.biasTanh({ bias: await put(bias), x: y, rows, width }), y, length);
      expectClose(tanh, Float64Array.from(sum, Math.tanh));
      const dx = await put(d);
      expectClose(
        await result(steps.tanhBackward({ y, d: dx, length }), dx, length),
        d.map((v, i) => v * (1 - (tanh[i] as number) ** 2)),
      );
      const gradient = await put(gathered);
      const total = Float64Array.from(gathered);
      for (const [i, v] of d.entries()) accumulate(total, i % width, v);
      expectClose(await result(steps.biasGradient({ d: await put(d), gradient, rows, width }), gradient, width), total);
    });

    test("sums of squares", async () => {
      const { steps, put, result } = await workbench(await open());
      const x = noise(length, 9);
      const chunks = Math.ceil(length / 256);
      const out = await put(new Float32Array(chunks + 1));
      const sums = await result(steps.squares({ x: await put(x), length, out, offset: 4 }), out, chunks + 1);
      expect(sums[0]).toBe(0);
      const total = x.reduce((a, b) => a + b * b, 0);
      expectClose([sums.reduce((a, b) => a + b)], [total]);
      const wide = await put(new Float64Array(chunks + 1));
      const of = { x: await put(x), length, out: wide, offset: 8, dtype: "f64" as const };
      await steps.run([...steps.squares(of)]);
      const read = new Float64Array(chunks + 1);
      await steps.run([{ kind: "read", from: wide, offset: 0, to: read }]);
      expect(read[0]).toBe(0);
      expect(Math.abs(read.reduce((a, b) => a + b) / total - 1)).toBeLessThan(1e-14);
    });

    test("matrix products", async () => {
      const { steps, put, result } = await workbench(await open());
      const inner = 11;
      const [a, b, c] = [noise(rows * inner, 10), noise(inner * width, 11), noise(length, 12)];
      const at = (i: number, j: number) =>
        Array.from({ length: inner }, (_, k) => (a[i * inner + k] as number) * (b[k * width + j] as number)).reduce(
          (s, v) => s + v,
        );
      const into = await put(c);
      const shape = { c: into, m: rows, n: width, k: inner };
      const product = steps.matmul({ ...shape, a: await put(a), b: await put(b) });
      const expected = Float64Array.from({ length }, (_, i) => at(Math.floor(i / width), i % width));
      expectClose(await result(product, into, length), expected);
      const turned = (m: Float32Array, r: number, s: number) =>
        Float32Array.from({ length: r * s }, (_, i) => m[(i % r) * s + Math.floor(i / r)] as number);
      const transposed = {
        a: await put(turned(a, rows, inner)),
        b: await put(turned(b, inner, width)),
        transposeA: true,
        transposeB: true,
      };
      expectClose(
        await result(steps.matmul({ ...shape, ...transposed, accumulate: true }), into, length),
        expected.map((v) => 2 * v),
      );
    });
  });

  test("nothing to do is no command", async () => {
    const { steps, put } = await workbench(await open());
    const m = await put(new Float32Array(1));
    expect(steps.gather({ tokens: m, table: m, out: m, slots: 0, width: 3 })).toEqual([]);
    expect(steps.biasTanh({ bias: m, x: m, rows: 0, width: 3 })).toEqual([]);
    expect(steps.biasGradient({ d: m, gradient: m, rows: 0, width: 3 })).toEqual([]);
    expect(steps.matmul({ a: m, b: m, c: m, m: 0, n: 1, k: 1 })).toEqual([]);
    await steps.run([]);
  });
});
