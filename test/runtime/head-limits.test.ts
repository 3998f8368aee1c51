/** Calls from hidden states that end early, that are cut very small, and that fail while memory is asked for. */
import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { headPlanOf } from "../../codegen/schedule/head.js";
import { LosscError } from "../../dsl/errors.js";
import type { LossDefinition } from "../../dsl/index.js";
import { builtins } from "../../losses/index.js";
import type { OwnedBuffer } from "../../runtime/devices/buffer.js";
import type { LossInputs } from "../../runtime/devices/device.js";
import { cutChunks, running } from "../../runtime/head/chunks.js";
import { openDevice } from "../../runtime/index.js";

const cross_entropy = builtins.cross_entropy as LossDefinition;

function batchOf(tokens: number, vocab: number, width: number): LossInputs {
  const numbers = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(12.9898 * (i + 1)));
  return {
    lengths: [tokens],
    hidden: numbers(tokens * width),
    head: numbers(vocab * width),
    target_tokens: new Int32Array(tokens),
  };
}

describe("a sum that the caller keeps", () => {
  it("is as it was where the call is ended by its signal, also where nothing else could fail", async () => {
    await using device = await openDevice("cpu");
    const compiled = await device.compile(cross_entropy);
    await compiled.forwardBackward(batchOf(1, 1000, 64));
    const gradHead = new Float32Array(1000 * 64).fill(2);
    const end = new AbortController();
    const before = device.launches;
    const call = compiled.forwardBackward(
      batchOf(40_000, 1000, 64),
      {},
      { gradHead, maxBytes: 64 * 1000 * 4, nonFinite: "propagate", signal: end.signal },
    );
    // Some of its six hundred chunks have been visited, and most have not.
    while (device.launches < before + 20) await setImmediate();
    end.abort();
    await expect(call).rejects.toMatchObject({ code: "ABORTED" });
    expect(gradHead.every((x) => x === 2)).toBe(true);
  });

  it("may be the head itself", async () => {
    await using device = await openDevice("cpu");
    const compiled = await device.compile(cross_entropy);
    const batch = batchOf(4, 3, 2) as LossInputs & { head: Float32Array };
    const { gradHidden, gradHead } = await compiled.forwardBackward(batch);
    const head = batch.head.slice();
    const result = await compiled.forwardBackward(
      { ...batch, head },
      {},
      { gradHead: head, nonFinite: "propagate", maxBytes: 12 },
    );
    const near = (got: unknown, expected: ArrayLike<number>) =>
      Array.from(expected).forEach((x, i) => {
        expect((got as Float32Array)[i]).toBeCloseTo(x, 5);
      });
    near(result.gradHidden, gradHidden as Float32Array);
    near(
      head,
      batch.head.map((x, i) => x + ((gradHead as Float32Array)[i] as number)),
    );
  });
});

it("keeps none of the gradients where there is no memory for all of them", async () => {
  await using device = await openDevice("cpu");
  const compiled = await device.compile(cross_entropy);
  const batch = batchOf(4, 3, 2) as LossInputs & { hidden: Float32Array; head: Float32Array };
  const [hidden, head] = [await device.buffer(batch.hidden), await device.buffer(batch.head)];
  const host = device as unknown as { makeBuffer: (...of: unknown[]) => OwnedBuffer };
  const make = host.makeBuffer.bind(device);
  const made: OwnedBuffer[] = [];
  host.makeBuffer = (...of) => {
    if (made.length > 0) throw new LosscError("DEVICE_OUT_OF_MEMORY", "planted");
    made.push(make(...of));
    return made[0] as OwnedBuffer;
  };
  await expect(compiled.forwardBackward({ ...batch, hidden, head })).rejects.toMatchObject({ code: "DEVICE_OUT_OF_MEMORY" });
  expect(made.map(({ disposed }) => disposed)).toEqual([true]);
});

it("cuts a batch into more chunks than a function takes arguments", { timeout: 60_000 }, async () => {
  await using device = await openDevice("cpu");
  const compiled = await device.compile(cross_entropy);
  const batch = batchOf(140_000, 2, 1);
  const [whole, cut] = [await compiled.forwardBackward(batch), await compiled.forwardBackward(batch, {}, { maxBytes: 1 })];
  expect(cut.loss).toBe(whole.loss);
});

it("keeps together what fits, though no tile of a matrix product ends there", () => {
  const shape = { lengths: [100, 70], groups: null, tokens: 170, vocab: 1 };
  const rows = running(new Uint8Array(170).fill(1));
  const { waitsFor } = headPlanOf(compilePlan({ loss: builtins.gspo as LossDefinition, logits: "f32" }).plan);
  expect(cutChunks(shape, waitsFor, 100, rows)).toMatchObject({ closed: true, list: [{ rows: 100 }, { rows: 70 }] });
  expect(cutChunks(shape, "batch", 170, rows)).toMatchObject({ closed: true, list: [{ rows: 170 }] });
  expect(cutChunks(shape, "token", 100, rows).list.map((chunk) => chunk.rows)).toEqual([64, 64, 42]);
});
