/** The check before the timing of the output head accepts right results, and no others; the evaluation of its times. */
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type HeadMeasured, requireSame } from "../../bench/head.js";
import { disposeGradients, HeadBatch } from "../../bench/head-batch.js";
import { headFiguresOf, headTableOf } from "../../bench/head-report.js";
import { peakOf } from "../../bench/memory.js";
import { headShapeOf } from "../../bench/shapes.js";
import type { LossDefinition } from "../../dsl/index.js";
import { ppo } from "../../losses/index.js";
import type { NativeBuffer } from "../../runtime/addon/native.js";
import type { Device, DeviceBuffer } from "../../runtime/devices/device.js";
import { type TypedArray, toBf16, widen } from "../../runtime/devices/dtypes.js";
import { openDevice } from "../../runtime/index.js";

let device: Device;
beforeAll(async () => {
  device = await openDevice("cpu");
  return () => device.dispose();
});

describe.each(["f32", "bf16"] as const)("%s", (dtype) => {
  const shape = { ...headShapeOf("cpu", true), dtype };

  test("the data lets logits spread as a trained model's do", async () => {
    using batch = await HeadBatch.make(device, shape);
    const { width, vocab } = shape;
    const [hidden, head] = await Promise.all([batch.hidden, batch.head].map(async (it) => widen(await it.read(), dtype)));
    let squares = 0;
    for (let v = 0; v < vocab; v++) {
      let logit = 0;
      for (let h = 0; h < width; h++) logit += (hidden?.[h] as number) * (head?.[v * width + h] as number);
      squares += logit ** 2;
    }
    expect(Math.sqrt(squares / vocab)).toBeGreaterThan(1);
    expect(Math.sqrt(squares / vocab)).toBeLessThan(2.6);
  });

  test("the same result passes, and another loss or another number of either gradient does not", async () => {
    using batch = await HeadBatch.make(device, shape);
    const compiled = await device.compile<LossDefinition>(ppo, { dtype, vocab: shape.vocab });
    const call = async () => {
      const found = await compiled.forwardBackward(batch.inputsOf(ppo));
      onTestFinished(() => disposeGradients(found));
      return found;
    };
    const wanted = await call();
    await requireSame("ppo", batch, await call(), wanted);
    const other = await call();
    const judged = (found: typeof wanted) => requireSame("ppo", batch, found, wanted);
    const refused = { code: "DEVICE_FAULT" };
    await expect(judged({ ...other, loss: other.loss + 1 })).rejects.toMatchObject(refused);
    for (const of of ["gradHidden", "gradHead"] as const) {
      const spoiled = await call();
      await spoil(spoiled[of] as DeviceBuffer);
      await expect(judged(spoiled), of).rejects.toMatchObject(refused);
    }
  });
});

/** Sets the last number to 7. */
async function spoil({ memory, byteLength, dtype }: DeviceBuffer): Promise<void> {
  const from: TypedArray = dtype === "f32" ? Float32Array.of(7) : Uint16Array.of(toBf16(7));
  const offset = byteLength - from.byteLength;
  await device.native?.run([{ kind: "write", to: memory as NativeBuffer, offset, from }]);
}

test.skipIf(process.platform !== "linux")(
  "peak memory counts what was given back again, and nothing that was there before",
  async () => {
    const bytes = 64 * 2 ** 20;
    const touched = async () => {
      const buffer = await device.buffer({ dtype: "f32", length: bytes / 4 });
      await device.native?.run([{ kind: "fill", to: buffer.memory, offset: 0, bytes, value: 1 }]);
      return buffer;
    };
    const before = await touched();
    onTestFinished(() => before.dispose());
    const peak = (await peakOf(async () => (await touched()).dispose())) as number;
    expect(peak).toBeGreaterThan(0.9 * bytes);
    expect(peak).toBeLessThan(1.5 * bytes);
  },
);

describe("report", () => {
  const measured: HeadMeasured = {
    tokens: 100,
    width: 10,
    vocab: 250,
    dtype: "f32",
    yardstick: "three products",
    atMost: 1.15,
    products: [10, 10, 99],
    sweep: [2, 2, 2],
    losses: [{ name: "ppo", value: 1, milliseconds: [11, 11, 11], peakBytes: 20_000 }],
    peers: {
      versions: {},
      absent: { Liger: "ImportError: nothing" },
      timings: [{ loss: "ppo", peer: "PyTorch, eager", value: 1, milliseconds: [22], peak_bytes: 200_000 }],
      failed: [],
    },
    failed: [{ name: "gspo", problem: "DEVICE_FAULT: wrong" }],
  };

  test("ratios are of medians, to the products or to products and sweep; memory is a part of all logits", () => {
    expect(headFiguresOf(measured)).toEqual([
      { name: "ppo from hidden states beside three products", unit: "×", values: [1.1], atMost: 1.15 },
      { name: "ppo from hidden states, peak memory beside all logits", unit: "×", values: [0.2], atMost: 0.125 },
      { name: "PyTorch, eager beside ppo from hidden states", unit: "×", values: [2] },
    ]);
    const [figure] = headFiguresOf({ ...measured, yardstick: "three products and a sweep" });
    expect(figure).toMatchObject({ name: "ppo from hidden states beside three products and a sweep", values: [11 / 12] });
  });

  test("the table has times, peaks, what was not timed and what is absent, and says where no peak was read", () => {
    const table = headTableOf(measured);
    expect(table).toMatch(/^T 100 × H 10 × V 250, f32, from hidden states$/m);
    expect(table).toMatch(/^ {2}ppo {2}.* 1\.10 × three products, peak 0\.0 MB \(0\.200 of all logits\)$/m);
    expect(table).toMatch(/^ {2}ppo: PyTorch, eager {2}.* 2\.20 × three products, peak 0\.2 MB \(2\.000 of all logits\)$/m);
    expect(table).toMatch(/^ {2}gspo was not timed: DEVICE_FAULT: wrong\n {2}Liger is absent: ImportError: nothing$/m);
    expect(table).not.toContain("was not read");
    const [ppoTiming] = measured.losses;
    const without = { ...measured, losses: [{ ...(ppoTiming as HeadMeasured["losses"][number]), peakBytes: null }] };
    expect(headTableOf(without)).toContain("peak memory was not read");
    expect(headFiguresOf(without).map(({ name }) => name)).not.toContain("ppo from hidden states, peak memory beside all logits");
  });
});
