/** Peers time the same work: their rows have the bits of the bench's, and each loss its value. Only where Python has PyTorch. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { Batch, SEEDS } from "../../bench/batch.js";
import { disposeGradients, HeadBatch, headScaleOf } from "../../bench/head-batch.js";
import { headShapeOf, shapesOf } from "../../bench/shapes.js";
import { LOGITS_SCALE } from "../../bench/steps.js";
import { openDevice } from "../../runtime/index.js";

const python = process.env.LOSSC_PYTHON ?? "python3";
const folder = fileURLToPath(new URL("../../bench/peers", import.meta.url));

/** The same of hidden states and a head. */
const HEAD_CODE = `
import json, sys, torch, bench_data, head
request = json.load(sys.stdin)
batch = bench_data.head_batch(request)
bits = lambda rows: rows.contiguous().view(torch.uint8).numpy().tobytes().hex()
values = {name: head.LOSSES[name](batch.hidden, batch.head, batch).item() for name in request["losses"]}
json.dump({"hidden": bits(batch.hidden), "head": bits(batch.head), "values": values}, sys.stdout)
`;

function run(code: string, input: string) {
  return spawnSync(python, ["-B", "-c", code], {
    cwd: folder,
    input,
    encoding: "utf8",
    env: { ...process.env, PYTHONPATH: folder },
  });
}

const absent = run("import numpy, torch", "").status !== 0;

/** Rows as hexadecimal bits, and the value of every loss, eager: nothing is compiled. */
const CODE = `
import json, sys, torch, bench_data, bench_losses
request = json.load(sys.stdin)
batch = bench_data.batch(request)
bits = lambda rows: rows.contiguous().view(torch.uint8).numpy().tobytes().hex()
values = {name: bench_losses.LOSSES[name](batch.logits, batch).item() for name in request["losses"]}
json.dump({"logits": bits(batch.logits), "teacher_logits": bits(batch.teacher_logits), "values": values}, sys.stdout)
`;

describe.skipIf(absent)(absent ? "PyTorch is absent" : "PyTorch", () => {
  test.each(["f32", "bf16"] as const)("has the same rows and the same losses in %s", async (dtype) => {
    await using device = await openDevice("cpu");
    const shape = { tokens: 8, vocab: 50, length: 4, dtype };
    using batch = await Batch.make(device, shape, { teacher: true });
    const out = mkdtempSync(join(tmpdir(), "lossc-peers-"));
    onTestFinished(() => rmSync(out, { recursive: true, force: true }));
    for (const [name, array] of Object.entries(batch.perToken)) writeFileSync(join(out, name), array);
    const work = shapesOf("cpu", true)[0]?.work.map(([it]) => it) ?? [];
    const request = { ...shape, device: "cpu", folder: out, seeds: SEEDS, losses: work.map(({ name }) => name) };
    const answer = run(CODE, JSON.stringify(request));
    expect(answer.stderr).toBe("");
    const { values, ...rows } = JSON.parse(answer.stdout);
    for (const name of ["logits", "teacher_logits"] as const) {
      const own = await batch.rows[name]?.read();
      expect(rows[name]).toBe(Buffer.from(own?.buffer as ArrayBuffer).toString("hex"));
    }
    for (const it of work) {
      const loss = it.loss(dtype);
      await batch.layDown();
      const compiled = await device.compile(loss, { dtype });
      const found = await compiled.forwardBackward(batch.inputsOf(loss, it), {}, { skipMasked: it.masked === true });
      expect(values[it.name], it.name).toBeCloseTo(found.loss, 4);
    }
  });

  test.each(["f32", "bf16"] as const)("has the same hidden states, head and losses in %s", async (dtype) => {
    await using device = await openDevice("cpu");
    const shape = { ...headShapeOf("cpu", true), dtype };
    using batch = await HeadBatch.make(device, shape);
    const out = mkdtempSync(join(tmpdir(), "lossc-peers-"));
    onTestFinished(() => rmSync(out, { recursive: true, force: true }));
    for (const [name, array] of Object.entries(batch.perToken)) writeFileSync(join(out, name), array);
    const scales = { hidden: LOGITS_SCALE, head: headScaleOf(shape.width) };
    const { work, ...about } = shape;
    const request = { ...about, scales, device: "cpu", folder: out, seeds: SEEDS, losses: work.map(({ name }) => name) };
    const answer = run(HEAD_CODE, JSON.stringify(request));
    expect(answer.stderr).toBe("");
    const { values, ...matrices } = JSON.parse(answer.stdout);
    for (const name of ["hidden", "head"] as const) {
      const own = await batch[name].read();
      expect(matrices[name], name).toBe(Buffer.from(own.buffer as ArrayBuffer).toString("hex"));
    }
    for (const { name, loss: lossOf } of work) {
      const loss = lossOf(dtype);
      const found = await (await device.compile(loss, { dtype })).forwardBackward(batch.inputsOf(loss));
      disposeGradients(found);
      expect(values[name], name).toBeCloseTo(found.loss, dtype === "f32" ? 3 : 0);
    }
  });
});
