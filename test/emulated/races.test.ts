/** With races looked for, a planted one is told in every order of lanes, and the kernels of losses as they are have none and move what their plans say. */
import { expect, test } from "vitest";
import { ppo } from "../../losses/index.js";
import { coreLosses, sequencePolicy } from "../codegen/golden-losses.js";
import { expectError } from "../runtime/support.js";
import { batchOf, inputsFor } from "./batch.js";
import { type Mistake, ORDERS, openPlanted } from "./planted.js";

const WRITE = "if (lane() % 32 == 0) write(exchange, lane() / 32, acc);\n";
const TAKE = "take(load_run<W>(row, e), load_run<W>(others, e)...);\n        for (int i = 0; i < W; ++i) poison";

const MISTAKES: readonly (Mistake & { readonly name: string; readonly vocab: number })[] = [
  { name: "no barrier before the exchange is read", vocab: 1031, from: `${WRITE}      self.barrier();\n`, to: WRITE },
  {
    name: "no barrier after the exchange is read",
    vocab: 1031,
    from: "      self.barrier();  // the exchange is free again\n",
    to: "",
  },
  {
    name: "an entry of another lane read among the stores",
    vocab: 1031,
    from: TAKE,
    to: `poison += at(row, row.count - 1 - e) * 0.0f;\n        ${TAKE}`,
  },
  { name: "no fence before a token is counted", vocab: 61, from: "fence();\n      last =", to: "last =" },
];

test.each(MISTAKES)("$name: told in every order", async ({ vocab, ...mistake }) => {
  for (const order of ORDERS) {
    const device = await openPlanted(order, mistake, true);
    const inputs = inputsFor(ppo, batchOf([2, 3], vocab, "f32", false).inputs());
    const compiled = await device.compile(ppo);
    await expectError("DEVICE_FAULT", () => compiled.forwardBackward(inputs, {}, { inPlace: true }), "there is a race for");
  }
});

test.each(Object.values(coreLosses).map((loss) => ({ name: loss.name, loss })))("$name has none", async ({ loss }) => {
  for (const order of ["forward", "reverse", 7] as const) {
    const device = await openPlanted(order, null, true);
    for (const vocab of [3, 61, 1031]) {
      const batch = batchOf([2, 5], vocab, "bf16", loss === sequencePolicy);
      const compiled = await device.compile(loss, { dtype: "bf16" });
      await compiled.forwardBackward(inputsFor(loss, batch.inputs()), {}, { inPlace: true, nonFinite: "propagate" });
    }
  }
});
