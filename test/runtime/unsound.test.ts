/** Objects that are not what they say: none of them reaches a kernel, and none keeps a message from being written. */
import { describe, expect, test } from "vitest";
import { cross_entropy } from "../../losses/index.js";
import { ALL_DEVICES, crossEntropyInputs, eachDevice, expectError } from "./support.js";

type ArrayType =
  | Float32ArrayConstructor
  | Float64ArrayConstructor
  | Int32ArrayConstructor
  | Uint32ArrayConstructor
  | Uint16ArrayConstructor;

/** Says that it has so many elements, and has one. */
const longer = (type: ArrayType, length: number) => Object.defineProperty(new type(1), "length", { value: length });
/** Inherits from a typed array and is none. */
const heir = (type: ArrayType) => Object.create(type.prototype);
/** Its methods meet a proxy in place of the array. */
const proxy = (type: ArrayType, length: number) => new Proxy(new type(length), {});

const LYING: Readonly<Record<string, (type: ArrayType, length: number) => unknown>> = { longer, heir, proxy };

/** Values that `String()` cannot convert. */
const UNSPEAKABLE: readonly unknown[] = [
  Object.create(null),
  { toString: 1, valueOf: 1 },
  { constructor: { name: Symbol("name") } },
  [Symbol("element")],
  Object.create(Float32Array.prototype),
  detached(new Float32Array(2)),
];

/** Its memory has gone elsewhere. */
function detached(array: Float32Array): Float32Array {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
  return array;
}

eachDevice((open) => {
  describe.each(Object.entries(LYING))("an array that is %s", (_, lying) => {
    test("is refused as an input, in place or not", async () => {
      const compiled = await (await open()).compile(cross_entropy);
      const right = await compiled.forwardBackward(crossEntropyInputs());
      const half = { data: lying(Uint16Array, 12), dtype: "bf16" };
      for (const inPlace of [false, true])
        for (const logits of [lying(Float32Array, 12), lying(Float64Array, 12), half])
          await expectError(
            "INPUT_DTYPE",
            () => compiled.forwardBackward({ ...crossEntropyInputs(), logits: logits as Float32Array }, {}, { inPlace }),
            "logits",
          );
      for (const type of [Int32Array, Uint32Array])
        for (const name of ["target_tokens", "lengths"]) {
          const inputs = { ...crossEntropyInputs(), [name]: lying(type, 3) };
          await expectError("INPUT_DTYPE", () => compiled.forwardBackward(inputs), name);
        }
      expect(await compiled.forwardBackward(crossEntropyInputs())).toEqual(right);
    });

    test("is refused as the content of a buffer", async () => {
      const device = await open();
      const buffer = await device.buffer({ dtype: "f32", length: 12 });
      const array = lying(Float32Array, 12) as Float32Array;
      await expectError("INPUT_DTYPE", () => device.buffer(array));
      await expectError("INPUT_DTYPE", () => buffer.write(array), "f32");
      expect(await buffer.read()).toEqual(new Float32Array(12));
    });
  });

  test("any other value in place of a name or a number is an error with the expected kind", async () => {
    const device = await open();
    const compiled = await device.compile(cross_entropy);
    for (const odd of UNSPEAKABLE as readonly never[]) {
      await expectError("INPUT_DTYPE", () => device.buffer({ dtype: odd, length: 1 }), "dtype");
      await expectError("INPUT_LENGTH", () => device.buffer({ dtype: "f32", length: odd }), "length");
      await expectError("INPUT_DTYPE", () => device.buffer(new Float32Array(1), odd), "cannot hold");
      await expectError("INPUT_DTYPE", () => compiled.plan(odd), '"bf16"');
      await expectError("INPUT_DTYPE", () => device.compile(cross_entropy, { dtype: odd }), '"bf16"');
      await expectError("USAGE", () => device.compile(odd), "defineLoss()");
    }
    await expectError("INPUT_DTYPE", () => compiled.plan("f8" as never), "f8");
  });

  test("an array whose memory has gone elsewhere makes an empty buffer", async () => {
    const buffer = await (await open()).buffer(detached(new Float32Array(3)));
    expect(buffer.length).toBe(0);
    expect(await buffer.read()).toEqual(new Float32Array(0));
  });
}, ALL_DEVICES);
