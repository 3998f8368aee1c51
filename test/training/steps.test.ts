/** The small kernels that policies are put together from, each beside a plain computation. */
import { describe, expect, test } from "vitest";
import { slotsByToken, TrainingSteps } from "../../index.js";
import type { Command, NativeBuffer } from "../../runtime/addon/native.js";
import type { Device } from "../../runtime/devices/device.js";
import { expectClose, expectError } from "../runtime/support.js";
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

  describe("indices out of range", () => {
    const [vocab, width] = [3, 2];
    const table = Float32Array.of(1, 2, 3, 4, 5, 6);

    test.each([
      ["beyond the table", [0, 3, 2]],
      ["far beyond the table", [1, 2 ** 31 - 1, 0]],
      ["below 0", [2, -1, 1]],
    ] as const)("gather reads nothing for a token %s, and says so", async (_, given) => {
      const device = await open();
      const { steps, put } = await workbench(device);
      const tokens = Int32Array.from(given);
      const out = await put(new Float32Array(6).fill(7));
      const of = { tokens: await put(tokens), table: await put(table), out, slots: 3, width };
      const gathered = new Float32Array(6);
      const read = { kind: "read", from: out, offset: 0, to: gathered } as const;
      await expectError("TARGET_OUT_OF_RANGE", () => steps.run([...steps.gather(of), read]), "tokens[1] of a gather");
      const row = (token: number) => [...table.subarray(token * width, (token + 1) * width)];
      expect([...gathered]).toEqual([...row(given[0]), 0, 0, ...row(given[2])]);
      // Once said, it is not said again.
      await steps.run(steps.gather({ ...of, tokens: await put(Int32Array.of(0, 1, 2)) }));
      // A table in memory that has room for more.
      const roomy = { ...of, table: await put(new Float32Array(100)), tokens: await put(Int32Array.of(0, 1, 3)), rows: vocab };
      await expectError("TARGET_OUT_OF_RANGE", () => steps.run(steps.gather(roomy)), "tokens[2]");
      await expectError("TARGET_OUT_OF_RANGE", () => steps.gather({ ...of, tokens }), `tokens[1] is ${given[1]}`, "0 … 2");
    });

    test.each([
      ["a list that ends beyond order", { begin: [0, 1, 900_000_000, 2] }, 1],
      ["a list that begins before order", { begin: [-900_000_000, 1, 2, 2] }, 0],
      ["a slot beyond d", { order: [0, 900_000_000] }, 1],
      ["a slot below 0", { order: [-900_000_000, 1] }, 0],
    ])("gatherTransposed adds nothing for %s, and says so", async (_, wrong, token) => {
      const { steps, put } = await workbench(await open());
      const lists = { begin: [0, 1, 2, 2], order: [0, 1], ...wrong };
      const gradient = await put(new Float32Array(6).fill(1));
      const [begin, order] = [await put(Int32Array.from(lists.begin)), await put(Int32Array.from(lists.order))];
      const of = { begin, order, d: await put(Float32Array.of(1, 2, 3, 4)), gradient, tokens: vocab, width };
      const sums = new Float32Array(6);
      const read = { kind: "read", from: gradient, offset: 0, to: sums } as const;
      const run = () => steps.run([...steps.gatherTransposed(of), read]);
      await expectError("TARGET_OUT_OF_RANGE", run, `for the token ${token} `, "slotsByToken()");
      expect([...sums.subarray(token * width, (token + 1) * width)]).toEqual([1, 1]);
    });

    test("memory that is smaller than what a step visits", async () => {
      const { steps, put } = await workbench(await open());
      const [three, six] = [await put(new Float32Array(3)), await put(new Float32Array(6))];
      const short = (what: string, call: () => unknown) => expectError("INPUT_LENGTH", call, what, "has 12 bytes");
      await short("tokens of gather", () => steps.gather({ tokens: three, table: six, out: six, slots: 4, width: 1 }));
      await short("out of gather", () => steps.gather({ tokens: six, table: six, out: three, slots: 2, width }));
      await short("table of gather", () => steps.gather({ tokens: six, table: three, out: six, slots: 2, width, rows: 2 }));
      const of = { begin: three, order: six, d: six, gradient: six, tokens: 3, width };
      await short("begin of gatherTransposed", () => steps.gatherTransposed(of));
      await short("gradient of gatherTransposed", () => steps.gatherTransposed({ ...of, begin: six, gradient: three }));
      await short("x of addBias", () => steps.addBias({ bias: six, x: three, rows: 2, width }));
      await short("bias of biasTanh", () => steps.biasTanh({ bias: three, x: six, rows: 1, width: 4 }));
      await short("d of tanhBackward", () => steps.tanhBackward({ y: six, d: three, length: 4 }));
      await short("from of add", () => steps.add({ from: three, to: six, length: 6 }));
      await short("gradient of biasGradient", () => steps.biasGradient({ d: six, gradient: three, rows: 1, width: 6 }));
      await short("out of squares", () => steps.squares({ x: six, length: 6, out: three, offset: 12 }));
      await expectError("USAGE", () => steps.gather({ tokens: six, table: six, out: six, slots: 2, width: 0.5 }), "whole number");
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

  test("steps that are aborted while they run are ABORTED with the reason of the signal", async () => {
    const { steps, put } = await workbench(await open());
    const length = 1 << 18;
    const [from, to] = [await put(new Float32Array(length)), await put(new Float32Array(length))];
    const program = Array.from({ length: 200 }, () => steps.add({ from, to, length })).flat();
    const controller = new AbortController();
    const run = steps.run(program, controller.signal);
    controller.abort(new Error("not wanted"));
    const error = await expectError("ABORTED", () => run, "The policy", "AbortSignal");
    expect((error.cause as Error).message).toBe("not wanted");
  });
});

test("slotsByToken refuses a token that the vocabulary does not hold", async () => {
  await expectError("TARGET_OUT_OF_RANGE", () => slotsByToken(Int32Array.of(0, 5), 5), "tokens[1] is 5", "0 … 4");
  await expectError("TARGET_OUT_OF_RANGE", () => slotsByToken(Int32Array.of(-1), 5), "tokens[0] is -1");
});
