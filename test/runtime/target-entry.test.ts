/** The target's entry is judged as it is stored: what stood there before it was mended may be larger than the dtype knows. */
import { test } from "vitest";
import { cross_entropy } from "../../losses/index.js";
import { eachDevice } from "./support.js";

const HALF = { one: 0x3c00, nine: 0x4880 };

eachDevice(
  (open) => {
    // p(target) is nearly 1, so that -w·p would overflow float16 and w·(1 − p) does not. In a whole packet, and in what is left of one.
    test.each([
      [40, 5],
      [40, 39],
      [7, 3],
    ])("V %d, target %d", async (vocab, target) => {
      await using device = await open();
      const data = new Uint16Array(vocab).fill(HALF.one);
      data[target] = HALF.nine;
      const compiled = await device.compile(cross_entropy, { dtype: "f16" });
      await compiled.forwardBackward({ lengths: [1], logits: { data, dtype: "f16" }, target_tokens: [target], weights: [1e5] });
    });
  },
  ["cpu", "emulated"],
);
