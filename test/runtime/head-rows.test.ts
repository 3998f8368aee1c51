/** Rows gathered and scattered, on every device and on the fake GPU, to the bit. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { preludeText } from "../../codegen/emit/index.js";
import type { NativeDevice } from "../../runtime/addon/native.js";
import { RowSteps } from "../../runtime/head/row-steps.js";
import { FakeMachine } from "../native/fake/machine.js";
import { openOnly } from "./support.js";

const machine = new FakeMachine();
machine.prelude = preludeText("emulated");
const cache = mkdtempSync(join(tmpdir(), "lossc-fake-cache-"));
process.env.LOSSC_CACHE_DIR = cache;
afterAll(() => {
  machine.remove();
  rmSync(cache, { recursive: true, force: true });
});

describe.each(["cpu", "emulated", "cuda:0"])(`rows on %s (a GPU is a fake one)`, (name) => {
  test.each([
    // 16-byte packets, in several runs; 4; 2; a place that only elements begin at.
    { width: 520, elementBytes: 2, offset: 0 },
    { width: 260, elementBytes: 4, offset: 32 },
    { width: 6, elementBytes: 2, offset: 4 },
    { width: 7, elementBytes: 4, offset: 0 },
    { width: 301, elementBytes: 2, offset: 0 },
    { width: 8, elementBytes: 2, offset: 6 },
    { width: 1, elementBytes: 4, offset: 4 },
  ] as const)("$width elements of $elementBytes bytes from byte $offset on", async ({ width, elementBytes, offset }) => {
    const device = await openOnly(name);
    const native = device.native as NativeDevice;
    const steps = await RowSteps.load(device);
    const rowBytes = width * elementBytes;
    const source = Uint8Array.from({ length: offset + 5 * rowBytes }, (_, i) => (i * 151 + (i >> 8)) % 251);
    const rows = Int32Array.of(4, 0, 0, 2, 3, 1, 4);
    const place = Int32Array.of(-1, 3, 0, -1, -7, 4, 2);
    const put = async (from: ArrayBufferView, to = native.allocate(from.byteLength)) => {
      await native.run([{ kind: "write", to, offset: 0, from }]);
      return { memory: to, offset: 0 };
    };
    const from = { ...(await put(source)), offset };
    for (const list of [rows, place]) {
      const before = new Uint8Array(offset + (list.length + 1) * rowBytes).fill(255);
      const to = { ...(await put(before)), offset };
      const shape = { from, to, count: list.length, width, elementBytes };
      const command = steps.copy({ rows: await put(list), ...shape });
      const out = new Uint8Array(before.length);
      await native.run([...command, { kind: "read", from: to.memory, offset: 0, to: out }]);
      const expected = before.slice();
      for (const [i, row] of list.entries()) {
        const begin = offset + row * rowBytes;
        expected.set(row < 0 ? new Uint8Array(rowBytes) : source.subarray(begin, begin + rowBytes), offset + i * rowBytes);
      }
      expect(Buffer.compare(out, expected)).toBe(0);
    }
  });

  test("no row is no command, and what no element can begin at is refused", async () => {
    const steps = await RowSteps.load(await openOnly(name));
    const part = { memory: new Uint16Array(8), offset: 0 };
    const of = { rows: part, from: part, to: part, width: 2, elementBytes: 2 } as const;
    expect(steps.copy({ ...of, count: 0 })).toEqual([]);
    expect(steps.copy({ ...of, count: 1, width: 0 })).toEqual([]);
    expect(() => steps.copy({ ...of, count: 1, to: { ...part, offset: 1 } })).toThrow(/multiple of their elements/);
  });
});
