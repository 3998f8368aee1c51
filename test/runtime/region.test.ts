import { expect, test } from "vitest";
import { Region } from "../../runtime/compiled/region.js";

test("pieces lie one after the other, each on a boundary of 256 bytes", () => {
  const region = new Region();
  const pieces = [region.take(1), region.take(0), region.take(257), region.take(8)];
  expect(pieces.map(({ place }) => place)).toEqual([null, null, null, null]);
  const memory = new Uint8Array(2048);
  expect(region.put(memory, 512)).toBe(512 + 256 + 512 + 256);
  expect(pieces.map(({ place }) => place?.offset)).toEqual([512, undefined, 768, 1280]);
  expect(pieces.map(({ padded }) => padded)).toEqual([256, 0, 512, 256]);
});
