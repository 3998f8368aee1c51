/** Every row of the table of ops: its JavaScript value, its kernel text and its gradient side by side, on every device. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AnyRow, opRows } from "../../../dsl/ops/index.js";
import type { ElementwiseOp } from "../../../dsl/ops/names.js";
import { compileBatch } from "../../../runtime/compiled/compile-batch.js";
import type { CompiledLoss, Device } from "../../../runtime/devices/device.js";
import { withoutOptimisation } from "../../optimisation.js";
import { onDevices, opened } from "../../properties/devices.js";
import { answers, lossesOf } from "./losses.js";
import { ROWS, type RowCase } from "./table.js";

withoutOptimisation();

const rows = opRows().map(([name, row]) => [name, row, ROWS[name] as RowCase] as const);

it("knows every row, and no row that is gone", () => {
  expect(Object.keys(ROWS).sort()).toEqual(
    opRows()
      .map(([name]) => name)
      .sort(),
  );
});

const OPERANDS = ["a", "b", "c"];

describe.each(rows)("%s", (name, row, known) => {
  it(`is written ${known?.text}`, () => {
    expect(row.text.write(...OPERANDS.slice(0, row.takes.length))).toBe(known.text);
    expect(row.rowText?.write(...OPERANDS.slice(0, row.takes.length))).toBe(known.rowText);
  });

  it("has its value in JavaScript, the sign of zero included", () => {
    expect(known.points.length).toBeGreaterThan(0);
    for (const [operands, value] of known.points) {
      expect(operands.length).toBe(row.takes.length);
      const computed = row.evaluate(...operands);
      if (Number.isFinite(value) && value !== 0) expect(computed, `${operands}`).toBeCloseTo(value, 14);
      else expect(computed, `${operands}`).toBe(value);
    }
  });

  it.skipIf(known?.smooth === undefined)("has the slope as its gradient", async () => {
    const points = known.smooth ?? [];
    for (const [p, operands] of points.entries()) {
      const { gradients } = await onReference(
        name,
        row,
        points.map((point) => point.map(Math.fround)),
      );
      for (let k = 0; k < operands.length; k++) {
        const at = (h: number) => row.evaluate(...operands.map((x, i) => Math.fround(x) + (i === k ? h : 0)));
        const slope = (at(1e-6) - at(-1e-6)) / 2e-6;
        expect(gradients[k]?.[p], `operand ${k} at ${operands}`).toBeCloseTo(slope, 7);
      }
    }
  });

  it("has its gradient on reference", async () => {
    const { values, gradients } = await onReference(
      name,
      row,
      known.points.map(([operands]) => operands),
    );
    known.points.forEach(([operands, value, gradient], p) => {
      same(values[p], value, 1e-6, `value at ${operands}`);
      gradient.forEach((g, k) => {
        same(gradients[k]?.[p], g, 1e-6, `gradient of operand ${k} at ${operands}`);
      });
    });
  });
});

const reference = opened("reference");

async function onReference(name: ElementwiseOp, row: AnyRow, points: readonly (readonly number[])[]) {
  const losses = await compileBatch(await reference, lossesOf(name, row.takes.length), { dtype: null });
  return answers(losses, points);
}

/** Relative, and below the normal float32 numbers absolute. What is not finite must be met. */
function same(computed: number | undefined, expected: number, relative: number, what: string): void {
  const close = Math.abs((computed as number) - expected) <= relative * Math.abs(expected) + 1.2e-38;
  if (!(Object.is(computed, expected) || (Number.isFinite(expected) && close))) expect(computed, what).toBe(expected);
}

describe("every row on the devices", () => {
  onDevices((device) => {
    const compiled = new Map<string, CompiledLoss[]>();
    beforeAll(async () => {
      const losses = rows.map(([name, row]) => lossesOf(name, row.takes.length));
      const made = await compileBatch(device(), losses.flat(), { dtype: null });
      for (const [i, [name]] of rows.entries()) compiled.set(name, made.splice(0, losses[i]?.length));
    });

    it.each(rows)("%s", async (name, row, known) => {
      const points = [...known.points.map(([operands]) => operands), ...(known.smooth ?? [])].map((point) =>
        point.map(Math.fround),
      );
      const expected = await onReference(name, row, points);
      const { values, gradients } = await answers(compiled.get(name) as CompiledLoss[], points);
      points.forEach((operands, p) => {
        // float32 knows no number so large, and rounds 1 + 1e-10.
        same(values[p], expected.values[p] as number, 1e-6, `value at ${operands}`);
        expected.gradients.forEach((gradient, k) => {
          same(gradients[k]?.[p], gradient[p] as number, 2e-6, `gradient of operand ${k} at ${operands}`);
        });
      });
    });
  });
});

let last: Device;
beforeAll(async () => {
  last = await reference;
});
afterAll(() => last.dispose());
