import { afterAll, describe, expect, test } from "vitest";
import type { Command } from "../../runtime/addon/native.js";
import { addon, expectCode, failure } from "./support.js";

const device = addon.openCpu({ threads: 0 });
afterAll(() => device.dispose());

describe("buffers", () => {
  test.each([0, 1, 255, 256, 4096, 300_000, 5_000_001])("%i bytes are zero", async (bytes) => {
    const buffer = device.allocate(bytes);
    expect(buffer.byteLength).toBe(bytes);
    const out = new Uint8Array(bytes).fill(7);
    await device.run([{ kind: "read", from: buffer, offset: 0, to: out }]);
    expect(out.every((byte) => byte === 0)).toBe(true);
    buffer.dispose();
  });

  test("write, read and fill at offsets, in the order of the program", async () => {
    const buffer = device.allocate(16);
    const first = new Uint8Array(16);
    const second = new Uint8Array(4);
    await device.run([
      { kind: "fill", to: buffer, offset: 0, bytes: 16, value: 9 },
      { kind: "write", to: buffer, offset: 4, from: Uint8Array.of(1, 2, 3) },
      { kind: "read", from: buffer, offset: 0, to: first },
      { kind: "fill", to: buffer, offset: 5, bytes: 2, value: 255 },
      { kind: "read", from: buffer, offset: 4, to: second },
    ]);
    expect([...first]).toEqual([9, 9, 9, 9, 1, 2, 3, 9, 9, 9, 9, 9, 9, 9, 9, 9]);
    expect([...second]).toEqual([1, 255, 255, 9]);
  });

  test("copies from one place of the device to another, large ones too, and from the caller's memory", async () => {
    const bytes = 3_000_001;
    const from = device.allocate(bytes);
    const to = device.allocate(bytes);
    const content = Uint8Array.from({ length: bytes }, (_, i) => i * 7);
    const [whole, part] = [new Uint8Array(bytes), new Uint8Array(8)];
    await device.run([
      { kind: "write", to: from, offset: 0, from: content },
      { kind: "copy", from, fromOffset: 0, to, toOffset: 0, bytes },
      { kind: "read", from: to, offset: 0, to: whole },
      { kind: "copy", from: to, fromOffset: 1, to, toOffset: 5, bytes: 3 },
      { kind: "copy", from: Uint8Array.of(0, 9), fromOffset: 1, to, toOffset: 0, bytes: 1 },
      { kind: "copy", from, fromOffset: bytes, to, toOffset: 0, bytes: 0 },
      { kind: "read", from: to, offset: 0, to: part },
    ]);
    expect(Buffer.compare(whole, content)).toBe(0);
    expect([...part]).toEqual([9, 7, 14, 21, 28, 7, 14, 21]);
  });

  test("views of every kind are taken by their bytes", async () => {
    const buffer = device.allocate(64);
    const views = [
      new Int8Array(8).fill(-1),
      new Uint16Array(4).fill(0xffff),
      new Float64Array(1).fill(Number.NaN),
      new BigUint64Array(1).fill(0xffffffffffffffffn),
      new DataView(new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8, 9]).buffer, 1),
      Buffer.from([8, 7, 6, 5, 4, 3, 2, 1]),
      new Uint8Array(new SharedArrayBuffer(8)).fill(3),
    ];
    for (const from of views) {
      const out = new Uint8Array(from.byteLength);
      await device.run([
        { kind: "write", to: buffer, offset: 0, from },
        { kind: "read", from: buffer, offset: 0, to: out },
      ]);
      expect([...out]).toEqual([...new Uint8Array(from.buffer, from.byteOffset, from.byteLength)]);
    }
  });

  test("fills the caller's own memory", async () => {
    const values = new Float32Array(100).fill(1);
    await device.run([{ kind: "fill", to: values, offset: 4, bytes: 8, value: 0 }]);
    expect([...values.slice(0, 4)]).toEqual([1, 0, 0, 1]);
  });

  test("their size is reported to V8, which collects what was forgotten", async () => {
    let collected = 0;
    const registry = new FinalizationRegistry(() => collected++);
    // Nothing but the size of the buffers could make V8 collect: they are small objects, and few.
    for (let i = 0; i < 200 && collected === 0; i++) {
      registry.register(device.allocate(64 << 20), undefined);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(collected).toBeGreaterThan(0);
  });

  test("disposed of twice is disposed of; used afterwards it is DISPOSED", async () => {
    const buffer = device.allocate(8);
    buffer.dispose();
    buffer.dispose();
    await expectCode("DISPOSED", () => device.run([{ kind: "fill", to: buffer, offset: 0, bytes: 8, value: 0 }]));
    await device.run([]);
  });

  test("what a program uses may be disposed of while it waits", async () => {
    const buffer = device.allocate(1_000_000);
    const out = new Uint8Array(1_000_000);
    const done = device.run([
      { kind: "fill", to: buffer, offset: 0, bytes: 1_000_000, value: 5 },
      { kind: "read", from: buffer, offset: 0, to: out },
    ]);
    buffer.dispose();
    await done;
    expect(out.every((byte) => byte === 5)).toBe(true);
  });

  test("more memory than there is", async () => {
    await expectCode("DEVICE_OUT_OF_MEMORY", () => device.allocate(2 ** 52), /4503599627370496 bytes/);
    device.allocate(8).dispose();
  });

  test("a buffer of another device is refused", async () => {
    const other = addon.openCpu({ threads: 1 });
    const buffer = other.allocate(8);
    await expectCode("USAGE", () => device.run([{ kind: "fill", to: buffer, offset: 0, bytes: 8, value: 0 }]), /another device/);
    await other.dispose();
  });
});

describe("mistakes are reported, and nothing runs", () => {
  const buffer = device.allocate(16);
  const out = new Uint8Array(8);
  const fill = { kind: "fill", to: buffer, offset: 0, bytes: 16, value: 1 } as const;
  const mistakes: readonly (readonly [string, unknown, RegExp])[] = [
    ["no array", {}, /array of commands/],
    ["no object", [3], /command 0: a command must be an object/],
    ["no kind", [{}], /kind must be a string/],
    ["an unknown kind", [fill, { kind: "jump" }], /command 1: .*"jump"/],
    ["read beyond the end", [fill, { kind: "read", from: buffer, offset: 9, to: out }], /8 bytes from offset 9/],
    ["write beyond the end", [fill, { kind: "write", to: buffer, offset: 9, from: out }], /do not fit into 16/],
    ["fill beyond the end", [fill, { kind: "fill", to: buffer, offset: 16, bytes: 1, value: 0 }], /do not fit/],
    ["fill beyond a typed array", [fill, { kind: "fill", to: out, offset: 4, bytes: 5, value: 0 }], /do not fit into 8/],
    [
      "copy from beyond the end",
      [fill, { kind: "copy", from: buffer, fromOffset: 9, to: out, toOffset: 0, bytes: 8 }],
      /8 bytes from offset 9 on do not fit into 16/,
    ],
    [
      "copy to beyond the end",
      [fill, { kind: "copy", from: buffer, fromOffset: 0, to: out, toOffset: 1, bytes: 8 }],
      /do not fit into 8/,
    ],
    [
      "copy onto itself",
      [fill, { kind: "copy", from: buffer, fromOffset: 0, to: buffer, toOffset: 7, bytes: 8 }],
      /must not overlap/,
    ],
    [
      "a negative offset",
      [fill, { kind: "read", from: buffer, offset: -1, to: out }],
      /offset must be a whole number from 0 to 16, not -1/,
    ],
    ["half a byte", [fill, { kind: "fill", to: buffer, offset: 0.5, bytes: 1, value: 0 }], /whole number/],
    ["NaN", [fill, { kind: "fill", to: buffer, offset: Number.NaN, bytes: 1, value: 0 }], /whole number.*NaN/],
    ["a bigint", [fill, { kind: "fill", to: buffer, offset: 0n, bytes: 1, value: 0 }], /offset must be a number/],
    ["no byte", [fill, { kind: "fill", to: buffer, offset: 0, bytes: 1, value: 256 }], /value must be .* 255/],
    [
      "an ArrayBuffer where a view is wanted",
      [fill, { kind: "read", from: buffer, offset: 0, to: out.buffer }],
      /to must be a typed array/,
    ],
    ["no buffer", [fill, { kind: "read", from: {}, offset: 0, to: out }], /from must be a buffer/],
    ["a typed array in the buffer's place", [fill, { kind: "write", to: out, offset: 0, from: out }], /to must be a buffer/],
    [
      "an object that pretends",
      [fill, { kind: "read", from: Object.create(buffer), offset: 0, to: out }],
      /from must be a buffer/,
    ],
  ];
  test.each(mistakes)("%s", async (_name, program, message) => {
    const error = await failure(() => device.run(program as readonly Command[]));
    expect(error.code).toBe("USAGE");
    expect(error.message).toMatch(message);
    expect(error instanceof TypeError || error instanceof RangeError).toBe(true);
    const content = new Uint8Array(16).fill(7);
    await device.run([{ kind: "read", from: buffer, offset: 0, to: content }]);
    expect([...content]).toEqual(new Array(16).fill(0));
  });

  test("sizes", async () => {
    for (const bytes of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "8", undefined, 2 ** 60]) {
      await expectCode("USAGE", () => device.allocate(bytes as number));
    }
  });

  test("handles cannot be made by hand", async () => {
    for (const made of [device, device.allocate(1)]) {
      const Class = made.constructor as new () => unknown;
      await expectCode("USAGE", () => new Class());
    }
  });

  test("a getter that throws rejects with what it threw", async () => {
    const program = [
      {
        get kind(): never {
          throw new RangeError("mine");
        },
      },
    ];
    await expect(device.run(program as unknown as readonly Command[])).rejects.toThrow("mine");
  });
});

test("views overlap where they have a byte in common, in one memory or in objects of one shared memory", async () => {
  const memory = new SharedArrayBuffer(16);
  const bytes = (of: ArrayBufferLike, from: number, length: number) => new Uint8Array(of, from, length);
  for (const other of [memory, structuredClone(memory)]) {
    expect(addon.overlap(bytes(memory, 0, 8), bytes(other, 7, 2))).toBe(true);
    expect(addon.overlap(bytes(other, 7, 2), bytes(memory, 0, 8))).toBe(true);
    expect(addon.overlap(bytes(memory, 0, 8), bytes(other, 8, 8))).toBe(false);
    expect(addon.overlap(bytes(memory, 0, 8), bytes(other, 4, 0))).toBe(false);
    expect(addon.overlap(new DataView(memory, 4, 4), new Float64Array(other))).toBe(true);
  }
  expect(addon.overlap(new Uint8Array(16), new Uint8Array(16))).toBe(false);
  await expectCode("USAGE", () => addon.overlap({} as Uint8Array, new Uint8Array(1)));
});
