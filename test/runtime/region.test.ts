import { expect, test } from "vitest";
import { mergedFills, Region } from "../../runtime/compiled/region.js";

test("pieces lie one after the other, each on a boundary of 256 bytes", () => {
  const region = new Region();
  const pieces = [region.take(1), region.take(0), region.take(257), region.take(8)];
  expect(pieces.map(({ place }) => place)).toEqual([null, null, null, null]);
  const memory = new Uint8Array(2048);
  expect(region.put(memory, 512)).toBe(512 + 256 + 512 + 256);
  expect(pieces.map(({ place }) => place?.offset)).toEqual([512, undefined, 768, 1280]);
  expect(pieces.map(({ padded }) => padded)).toEqual([256, 0, 512, 256]);
});

test("fills of one value that lie side by side are one", () => {
  const [a, b] = [new Uint8Array(1024), new Uint8Array(1024)];
  const fill = (memory: Uint8Array, offset: number, bytes: number, value: number) => ({ memory, offset, bytes, value });
  const merged = mergedFills([
    fill(a, 512, 256, 255),
    fill(a, 256, 256, 0),
    fill(b, 512, 256, 0),
    fill(a, 0, 256, 0),
    fill(a, 768, 256, 255),
    fill(b, 0, 256, 0),
  ]);
  expect(merged).toEqual([fill(a, 0, 512, 0), fill(b, 0, 256, 0), fill(a, 512, 512, 255), fill(b, 512, 256, 0)]);
});
