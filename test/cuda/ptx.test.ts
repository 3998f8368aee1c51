/**
 * The PTX of the CUDA text, its prelude included, runs instruction by instruction on the fake GPU and is compared with `reference`: every loss of the
 * catalogue in one of five geometries, by turns; in a sample two of each geometry.
 */
import { afterEach, describe, expect, test } from "vitest";
import { forwardKlOf } from "../../bench/losses.loss.js";
import type { LogitsDtype } from "../../codegen/loss-program.js";
import type { LossDefinition } from "../../dsl/index.js";
import { ppo, reverse_kl } from "../../losses/index.js";
import { findNvcc } from "../../runtime/compilers/index.js";
import { goldenLosses, spread, teachers } from "../codegen/golden-losses.js";
import { type Batch, batchOf, completeBatch, gradientOf, inputsFor, oracle } from "../emulated/batch.js";
import { sampled } from "../sample.js";
import { fakeMachine, openFake } from "./machine.js";

const machine = fakeMachine();
const nvcc = await findNvcc();
if (nvcc !== null) machine.nvcc = nvcc;
afterEach(() => {
  for (const name of ["RACES", "ORDER", "ARCHITECTURE"]) delete process.env[`LOSSC_FAKE_${name}`];
});

/** Two lanes to a row, eight, a warp, a block, a cluster of blocks. Compiling takes a second: with all five it would be minutes. */
const KINDS: readonly (readonly [vocab: number, dtype: LogitsDtype])[] = [
  [61, "bf16"],
  [499, "f16"],
  [1031, "f32"],
  [10001, "bf16"],
  [33000, "f32"],
];

/** Long rows take their time with them. */
const lookForRaces = () => Object.assign(process.env, { LOSSC_FAKE_RACES: "1", LOSSC_FAKE_ORDER: "7" });

/** Half a unit in the last place, relative, and of f16's least numbers. */
const ROUNDING = { f32: 0, bf16: 2 ** -8, f16: 2 ** -11 } as const;
const LEAST = { f32: 0, bf16: 0, f16: 2 ** -25 } as const;

function expectNear(found: ArrayLike<number>, wanted: ArrayLike<number>, dtype: LogitsDtype, what: string): void {
  const scale = Math.max(
    1e-30,
    Array.from(wanted).reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0),
  );
  expect(found.length, what).toBe(wanted.length);
  for (let i = 0; i < wanted.length; i++) {
    const [x, y] = [found[i] as number, wanted[i] as number];
    const slack = (1e-4 + ROUNDING[dtype]) * Math.abs(y) + 1e-5 * scale + LEAST[dtype];
    if (!(Object.is(x, y) || x === y || Math.abs(x - y) <= slack)) expect.fail(`${what}, ${i}: ${x} instead of ${y}`);
  }
}

/** Runs the loss, and holds all of it against `reference`; gives what the machine was asked for. */
async function agrees(loss: LossDefinition, batch: Batch) {
  const { vocab, dtype } = batch;
  const expected = await oracle(loss, batch, { nonFinite: "propagate" });
  const device = await openFake();
  const compiled = await device.compile(loss, { dtype, vocab });
  machine.take();
  const found = await compiled.forwardBackward(inputsFor(loss, batch.inputs()), {}, { nonFinite: "propagate" });
  const what = `${loss.name}, V ${vocab}, ${dtype}`;
  expectNear([found.loss], [expected.loss], "f32", `${what}, loss`);
  expectNear(found.logprobs as Float32Array, expected.logprobs as Float64Array, "f32", `${what}, logprobs`);
  const gradient = gradientOf(found.gradLogits as Float32Array, dtype);
  expectNear(gradient, expected.gradLogits as unknown as Float64Array, dtype, `${what}, gradient`);
  return machine.take();
}

describe.skipIf(nvcc === null)(nvcc === null ? "nvcc is absent" : "PTX", () => {
  const cases = Object.entries(goldenLosses).map(([name, loss], i) => {
    const [vocab, dtype] = KINDS[i % KINDS.length] as (typeof KINDS)[number];
    return { name, vocab, dtype, loss };
  });
  const drawn = KINDS.flatMap(([vocab]) =>
    sampled(
      `PTX, V ${vocab}`,
      2,
      cases.filter((one) => one.vocab === vocab),
    ),
  );
  test.each(drawn)("$name, V $vocab, $dtype", async ({ loss, vocab, dtype }) => {
    if (vocab < 20000) lookForRaces();
    await agrees(loss, completeBatch(loss, vocab, dtype));
  });

  test("no races between the blocks of a cluster", async () => {
    lookForRaces();
    const { launches } = await agrees(spread, completeBatch(spread, 20011, "bf16"));
    expect(launches[0]?.grid).toBe(6 * 2);
  });

  test("the largest cluster", async () => {
    const { launches } = await agrees(ppo, completeBatch(ppo, 131072, "bf16"));
    expect(launches[0]?.grid).toBe(6 * 8);
  });

  test("three rows", async () => {
    lookForRaces();
    await agrees(teachers(2), completeBatch(teachers(2), 1031, "bf16"));
  });

  // Every lane that shares a row repeats the work per row, which must not cost more than the entries do. Register moves are not counted.
  test.each([
    { vocab: 64, most: 23, rows: 64 },
    { vocab: 1000, most: 17, rows: 8 },
    { vocab: 8000, most: 16, rows: 4 },
    { vocab: 128256, most: 14, rows: 2 },
  ])("ppo, V $vocab, bf16: at most $most instructions an entry", async ({ vocab, most, rows }) => {
    const { instructions } = await agrees(ppo, batchOf([rows], vocab, "bf16", false));
    expect(instructions.length).toBe(1);
    const each = (instructions[0] as number) / (rows * vocab);
    expect(each).toBeGreaterThan(10);
    expect(each).toBeLessThanOrEqual(most);
  });

  test.each([
    { loss: forwardKlOf("bf16"), teacher: "bf16", most: 56 },
    { loss: reverse_kl, teacher: "f32", most: 54 },
  ])("$loss.name, V 8000, a teacher in $teacher: at most $most instructions an entry", async ({ loss, most }) => {
    const { instructions } = await agrees(loss, completeBatch(loss, 8000, "bf16"));
    expect((instructions[0] as number) / (6 * 8000)).toBeLessThanOrEqual(most);
  });

  test.each([
    { architecture: 80, loss: ppo, vocab: 60000 },
    { architecture: 80, loss: spread, vocab: 1031 },
    { architecture: 120, loss: spread, vocab: 60000 },
  ])("sm_$architecture, $loss.name, V $vocab", async ({ architecture, loss, vocab }) => {
    process.env.LOSSC_FAKE_ARCHITECTURE = `${architecture}`;
    await agrees(loss, completeBatch(loss, vocab, "f32"));
  });
});
