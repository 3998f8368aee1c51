/** The check before the timing accepts right results, and no others. */
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Batch } from "../../bench/batch.js";
import { requireCorrect } from "../../bench/correct.js";
import { shapesOf, type Work } from "../../bench/shapes.js";
import type { LogitsDtype } from "../../codegen/loss-program.js";
import type { NativeBuffer } from "../../runtime/addon/native.js";
import type { CompiledLoss, Device } from "../../runtime/devices/device.js";
import { toBf16 } from "../../runtime/devices/dtypes.js";
import { openDevice } from "../../runtime/index.js";

const VOCAB = 50;
const SHAPE = { tokens: 8, vocab: VOCAB, length: 4 };
const WORK = shapesOf("cpu", true)[0]?.work.map(([work]) => work) as readonly Work[];

let device: Device;
beforeAll(async () => {
  device = await openDevice("cpu");
  return () => device.dispose();
});

async function batchOf(dtype: LogitsDtype): Promise<Batch> {
  const batch = await Batch.make(device, { ...SHAPE, dtype }, { teacher: true });
  onTestFinished(() => batch[Symbol.dispose]());
  return batch;
}

describe.each(["f32", "bf16"] as const)("%s", (dtype) => {
  test.each(WORK)("a right result of $name passes, and no other", async (work) => {
    const batch = await batchOf(dtype);
    const loss = work.loss(dtype);
    const compiled: CompiledLoss = await device.compile(loss, { dtype });
    const judge = async (spoil: { loss?: number; token?: number; entry?: number }) => {
      await batch.layDown();
      const options = { inPlace: true, skipMasked: work.masked === true };
      const found = await compiled.forwardBackward(batch.inputsOf(loss, work), {}, options);
      const { loss: by = 0, token, entry } = spoil;
      const logprobs = Float32Array.from(found.logprobs as Float32Array, (x, t) => (t === token ? x - 0.02 : x));
      if (entry !== undefined) await spoilEntry(batch, entry);
      await requireCorrect(loss, work, batch, compiled, { ...found, loss: found.loss + by, logprobs });
    };
    await judge({});
    const target = batch.perToken.target_tokens[7] as number;
    const wrong = [{ loss: 1e-2 }, { token: 4 }, { entry: 7 * VOCAB + ((target + 1) % VOCAB) }, { entry: 7 * VOCAB + target }];
    for (const spoil of wrong) await expect(judge(spoil), JSON.stringify(spoil)).rejects.toMatchObject({ code: "DEVICE_FAULT" });
  });
});

/** Sets an entry of the gradient to a half. */
async function spoilEntry({ rows, steps, shape }: Batch, entry: number): Promise<void> {
  const from = shape.dtype === "f32" ? Float32Array.of(0.5) : Uint16Array.of(toBf16(0.5));
  await steps.native.run([{ kind: "write", to: rows.gradient.memory as NativeBuffer, offset: entry * from.byteLength, from }]);
}

describe("the data", () => {
  test("follows from seed and place, is the same in every dtype, and spreads as a trained model's logits do", async () => {
    const [wide, narrow] = [await batchOf("f32"), await batchOf("bf16")];
    const rows = await Promise.all([0, 3, 7].map((t) => wide.row("logits", t)));
    const all = rows.flatMap((row) => [...row]);
    expect(await narrow.row("logits", 3)).toEqual(rows[1]?.map((z) => roundedToBf16(z)));
    expect(await wide.row("teacher_logits", 3)).not.toEqual(rows[1]);
    expect(new Set(all).size).toBeGreaterThan(140);
    const mean = all.reduce((a, b) => a + b) / all.length;
    const deviation = Math.sqrt(all.reduce((sum, z) => sum + (z - mean) ** 2, 0) / all.length);
    expect(Math.abs(mean)).toBeLessThan(0.5);
    expect(deviation).toBeGreaterThan(1.4);
    expect(deviation).toBeLessThan(2.1);
    expect(Math.max(...all.map(Math.abs))).toBeLessThanOrEqual(6);
  });

  test("is laid down anew where a call overwrote it", async () => {
    const batch = await batchOf("f32");
    await batch.layDown();
    await spoilEntry(batch, 3);
    expect(await batch.row("gradient", 0)).not.toEqual(await batch.row("logits", 0));
    await batch.layDown();
    expect(await batch.row("gradient", 0)).toEqual(await batch.row("logits", 0));
  });
});

function roundedToBf16(value: number): number {
  return new Float32Array(Uint32Array.of(toBf16(value) << 16).buffer)[0] as number;
}
