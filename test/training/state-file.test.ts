/** The state file byte by byte: what it holds, what of it is believed, and that no size of the parts that it is read and written by shows. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { PolicyState, Tensor } from "../../index.js";
import { readState, writeState } from "../../runtime/training/state-file.js";
import { expectError, temporaryFolder } from "../runtime/support.js";
import { noise } from "./support.js";

function tensor(...shape: number[]): Tensor {
  const length = shape.reduce((a, b) => a * b, 1);
  return { shape, data: noise(length, 1 + length) };
}

/** With names that objects treat in their own way, and sizes that no part divides. */
const STATE: PolicyState = {
  step: 12,
  tensors: Object.fromEntries([
    ["weights/a.0", tensor(3, 7)],
    ["none", tensor(0, 4)],
    ["a number", tensor()],
    ["__proto__", tensor(5)],
    ["constructor", tensor(2, 1, 3)],
    ["10", tensor(1)],
    ['Gewicht/ä\n"\\€𝛼', tensor(13)],
  ]),
};

/** The content of a state, as bits. */
function bits({ step, tensors }: PolicyState): unknown {
  const each = Object.entries(tensors).map(([name, { shape, data }]) => [
    name,
    shape,
    Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex"),
  ]);
  return [step, each.sort(([a], [b]) => ((a as string) < (b as string) ? -1 : 1))];
}

const sha256 = (...parts: readonly (string | Buffer)[]) => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
};

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** A file in safetensors, as its description has it. */
function parse(bytes: Buffer) {
  const length = Number(bytes.readBigUInt64LE());
  const text = bytes.toString("utf8", 8, 8 + length);
  const { __metadata__: metadata, ...entries } = JSON.parse(text) as Record<string, Entry> & {
    __metadata__: Record<string, string>;
  };
  return { length, text, metadata, entries, data: bytes.subarray(8 + length) };
}

/** A file with this header and a digest that is right. */
function signed(header: Record<string, unknown>, data: Buffer, metadata: object = {}): Buffer {
  const zeros = "0".repeat(64);
  const text = JSON.stringify({
    __metadata__: { format: "lossc-state", version: "2", step: "1", sha256: zeros, ...metadata },
    ...header,
  });
  const bytes = Buffer.alloc(8 + Buffer.byteLength(text));
  bytes.writeBigUInt64LE(BigInt(bytes.length - 8));
  bytes.write(text, 8);
  const digest = sha256(bytes, data);
  return Buffer.concat([Buffer.from(bytes.toString("latin1").replace(zeros, digest), "latin1"), data]);
}

/** A file of the format that was before. */
function early(header: unknown, data: Buffer, length?: number): Buffer {
  const text = typeof header === "string" ? header : JSON.stringify(header);
  return Buffer.concat([Buffer.from(`lossc-state 1 ${length ?? Buffer.byteLength(text)} ${sha256(text, data)}\n${text}`), data]);
}

const f32 = (begin: number, end: number, ...shape: unknown[]) => ({ dtype: "F32", shape, data_offsets: [begin, end] });

describe("what is written", () => {
  test("is safetensors: a padded header of strings, dtypes, shapes and offsets, and the tensors without a gap", async () => {
    const path = join(temporaryFolder(), "state");
    await writeState(path, STATE);
    const { length, text, metadata, entries, data } = parse(readFileSync(path));
    expect(length % 8).toBe(0);
    expect(text).toMatch(/^\{.*\} {0,7}$/s);
    expect(metadata).toEqual({
      format: "lossc-state",
      version: "2",
      step: "12",
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(Object.keys(entries).sort()).toEqual(Object.keys(STATE.tensors).sort());
    let end = 0;
    for (const [name, { dtype, shape, data_offsets }] of Object.entries(entries).sort(
      ([, a], [, b]) => a.data_offsets[1] - b.data_offsets[1],
    )) {
      const wanted = Object.getOwnPropertyDescriptor(STATE.tensors, name)?.value as Tensor;
      expect([dtype, shape, data_offsets[0]]).toEqual(["F32", wanted.shape, end]);
      end = data_offsets[1];
      const numbers = Array.from({ length: wanted.data.length }, (_, i) => data.readFloatLE(data_offsets[0] + 4 * i));
      expect(numbers).toEqual(Array.from(wanted.data));
    }
    expect(end).toBe(data.length);
  });

  test.each([4, 12, 64, 84, 2 ** 20])("is the same in parts of %i bytes, and so is what is read", async (part) => {
    const folder = temporaryFolder();
    await writeState(join(folder, "whole"), STATE);
    await writeState(join(folder, "parts"), STATE, part);
    expect(readFileSync(join(folder, "parts"))).toEqual(readFileSync(join(folder, "whole")));
    expect(bits(await readState(join(folder, "parts"), part))).toEqual(bits(STATE));
  });

  test("is a part of a larger array where a tensor is one", async () => {
    const path = join(temporaryFolder(), "state");
    const large = noise(40);
    await writeState(path, { step: 0, tensors: { part: { shape: [10], data: large.subarray(7, 17) } } }, 12);
    expect((await readState(path, 12)).tensors.part?.data).toEqual(large.slice(7, 17));
  });

  test.each([
    ["a name that safetensors keeps", { step: 1, tensors: { __metadata__: tensor(1) } }, "__metadata__"],
    ["a name that is no text", { step: 1, tensors: { "a\ud800": tensor(1) } }, "\\ud800"],
    [
      "a hole in a shape",
      { step: 1, tensors: { a: { shape: Object.assign([2], { 2: 3 }), data: new Float32Array(6) } } },
      "shapes",
    ],
    ["a shape below 0", { step: 1, tensors: { a: { shape: [-2, -3], data: new Float32Array(6) } } }, "shapes"],
    ["a step below 0", { step: -1, tensors: {} }, "step"],
    ["no state", undefined, "state()"],
  ])("is nothing where the policy gives %s", async (_, state, said) => {
    const folder = temporaryFolder();
    await expectError("USAGE", () => writeState(join(folder, "state"), state as PolicyState), said);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("what is read", () => {
  test("is also the format that was before", async () => {
    const path = join(temporaryFolder(), "state");
    const entries = Object.entries(STATE.tensors);
    const header = { step: STATE.step, tensors: entries.map(([name, { shape }]) => ({ name, shape })) };
    const good = early(header, Buffer.concat(entries.map(([, { data }]) => Buffer.from(data.buffer))));
    writeFileSync(path, good);
    for (const part of [4, 12, 2 ** 20]) expect(bits(await readState(path, part))).toEqual(bits(STATE));
    for (let at = 0; at < good.length; at += 3) {
      writeFileSync(path, Buffer.from(good.map((byte, i) => (i === at ? byte ^ 1 : byte))));
      await expectError("USAGE", () => readState(path), path);
    }
  });

  test("is refused with any one bit changed, and at any length but its own", async () => {
    const path = join(temporaryFolder(), "state");
    await writeState(path, { step: 3, tensors: { "weights/a": tensor(2, 3), "weights/b": tensor(3, 2) } });
    const good = readFileSync(path);
    for (let at = 0; at < good.length; at++) {
      writeFileSync(path, Buffer.from(good.map((byte, i) => (i === at ? byte ^ (1 << (at % 8)) : byte))));
      await expectError("USAGE", () => readState(path), path);
      writeFileSync(path, good.subarray(0, at));
      await expectError("USAGE", () => readState(path), path);
    }
    writeFileSync(path, Buffer.concat([good, Buffer.alloc(1)]));
    await expectError("USAGE", () => readState(path), "more in it");
    writeFileSync(path, good);
    expect((await readState(path)).step).toBe(3);
  });

  const data = Buffer.alloc(16);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(2 ** 40));
  const HEADERS: Readonly<Record<string, readonly [bytes: Buffer, said: string]>> = {
    "a header longer than the file": [size, "safetensors"],
    "no JSON": [Buffer.from([4, 0, 0, 0, 0, 0, 0, 0, ...Buffer.from("{no}")]), "its header"],
    "null for a header": [Buffer.from([4, 0, 0, 0, 0, 0, 0, 0, ...Buffer.from("null")]), "its header"],
    "another's metadata": [signed({ a: f32(0, 16, 4) }, data, { format: "pt" }), "lossc-state"],
    "a later version": [signed({ a: f32(0, 16, 4) }, data, { version: "3" }), "format 3"],
    "a step that is no count": [signed({ a: f32(0, 16, 4) }, data, { step: "1e3" }), "step"],
    "a step beyond counting": [signed({ a: f32(0, 16, 4) }, data, { step: "9".repeat(20) }), "step"],
    "no digest": [signed({ a: f32(0, 16, 4) }, data, { sha256: "none" }), "digest"],
    "another dtype": [signed({ a: { ...f32(0, 16, 8), dtype: "BF16" } }, data), "BF16"],
    "a shape of another size": [signed({ a: f32(0, 16, 5) }, data), "shape"],
    "a shape beyond counting": [signed({ a: f32(0, 16, 2 ** 40, 2 ** 40) }, data), "shape"],
    "a shape below 0": [signed({ a: f32(0, 16, -2, -2) }, data), "shape"],
    "a shape with a fraction": [signed({ a: f32(0, 16, 0.5, 8) }, data), "shape"],
    "a shape of text": [signed({ a: f32(0, 16, "4") }, data), "shape"],
    "a tensor far longer than the file": [signed({ a: f32(0, 2 ** 44, 2 ** 42) }, data), "ends within a"],
    "tensors that overlap": [signed({ a: f32(0, 12, 3), b: f32(8, 16, 2) }, data), "b does not begin"],
    "a gap between tensors": [signed({ a: f32(0, 4, 1), b: f32(8, 16, 2) }, data), "b does not begin"],
    "a gap before them": [signed({ a: f32(4, 16, 3) }, data), "a does not begin"],
    "a place before the file": [signed({ a: f32(-4, 12, 4) }, data), "a does not begin"],
    "no offsets": [signed({ a: { dtype: "F32", shape: [4] } }, data), "shape"],
    "null for a tensor": [signed({ a: null }, data), "its header"],
    "fewer tensors than data": [signed({ a: f32(0, 12, 3) }, data), "more in it"],
    "no tensors named (early)": [early({ step: 1 }, data), "no tensors"],
    "no JSON (early)": [early("no JSON", data), "its header"],
    "a header that ends elsewhere (early)": [early({ step: 1, tensors: [] }, data, 2 ** 40), "its header"],
    "a tensor far longer than the file (early)": [
      early({ step: 1, tensors: [{ name: "a", shape: [2 ** 42] }] }, data),
      "ends within a",
    ],
    "no shape (early)": [early({ step: 1, tensors: [{ name: "a" }] }, data), "shape"],
    "a step that is none (early)": [early({ step: "1", tensors: [{ name: "a", shape: [4] }] }, data), "step"],
  };

  test.each(Object.entries(HEADERS))("is refused with %s, though the digest is right", async (_, [bytes, said]) => {
    const path = join(temporaryFolder(), "state");
    writeFileSync(path, bytes);
    await expectError("USAGE", () => readState(path), path, said);
  });

  test("is what the header says where all is right", async () => {
    const path = join(temporaryFolder(), "state");
    writeFileSync(path, signed({ b: f32(4, 16, 3), a: f32(0, 4, 1), none: f32(4, 4, 0) }, data));
    expect(bits(await readState(path))).toEqual(
      bits({
        step: 1,
        tensors: {
          a: { shape: [1], data: new Float32Array(1) },
          b: { shape: [3], data: new Float32Array(3) },
          none: { shape: [0], data: new Float32Array(0) },
        },
      }),
    );
  });
});
