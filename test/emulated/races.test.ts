/**
 * The race check reports an injected race in every order of lanes, and none in the kernels of losses. These move the bytes that their plans state.
 */
import { test } from "vitest";
import type { LossDefinition } from "../../dsl/index.js";
import { label_smoothing, ppo } from "../../losses/index.js";
import { coreLosses, sequencePolicy } from "../codegen/golden-losses.js";
import { expectError } from "../runtime/support.js";
import { batchOf, inputsFor } from "./batch.js";
import { type Mistake, ORDERS, openMutated } from "./mutations.js";

const GIVE = "if (lane() == 0) write(all, part(), mine);\n";
const STORE = "write_as_packet(here, 0, words);\n";

/** A row of a block's warps, of a cluster of two blocks, and of a few lanes. */
const BLOCK = 7003;
const CLUSTER = 16399;
const SHORT = 61;

const MISTAKES: readonly (Mistake & { readonly name: string; readonly vocab: number; readonly loss?: LossDefinition })[] = [
  {
    name: "between warps: no barrier before the parts' values are read",
    vocab: BLOCK,
    from: `${GIVE}      self.barrier();\n`,
    to: GIVE,
  },
  {
    name: "between blocks of a cluster: no barrier before the parts' values are read",
    vocab: CLUSTER,
    from: "      self.cluster_arrive();\n      self.cluster_wait();\n",
    to: "",
  },
  {
    name: "one place for all exchanges",
    vocab: BLOCK,
    loss: label_smoothing,
    from: "turn % kExchanges * (kExchange / kExchanges)",
    to: "0",
  },
  {
    name: "in place: an entry of another lane read among the stores",
    vocab: BLOCK,
    from: STORE,
    to: `poison |= as_bits(at(row, row.begin)) & 0u;\n    ${STORE}`,
  },
  {
    name: "copies that nobody waits for",
    vocab: BLOCK,
    from: "sizeof...(Others) == 0;\n  if (Team::kResident) team.self.copies_done();\n",
    to: "sizeof...(Others) == 0;\n",
  },
  { name: "no fence where the last token was counted", vocab: BLOCK, from: "0u);\n        fence();", to: "0u);" },
  {
    name: "no barrier before all know whether it was the last token",
    vocab: BLOCK,
    from: "unsigned(completes));\n    }\n    self.barrier();\n",
    to: "unsigned(completes));\n    }\n",
  },
  {
    name: "no barrier after all know",
    vocab: BLOCK,
    from: "!= 0;\n    self.barrier();  // the place of `last` is free again\n",
    to: "!= 0;\n",
  },
  { name: "no fence before a token is counted", vocab: BLOCK, from: "fence();\n      const bool", to: "const bool" },
];

test.each(MISTAKES)("$name: reported in every order", async ({ vocab, loss = ppo, ...mistake }) => {
  for (const order of ORDERS) {
    const device = await openMutated(order, mistake, true);
    const inputs = inputsFor(loss, batchOf([2, 3], vocab, "f32", false).inputs());
    const compiled = await device.compile<LossDefinition>(loss);
    await expectError("DEVICE_FAULT", () => compiled.forwardBackward(inputs, {}, { inPlace: true }), "there is a race for");
  }
});

test.each(Object.values(coreLosses).map((loss) => ({ name: loss.name, loss })))("$name has none", async ({ loss }) => {
  for (const order of ["forward", "reverse", 7] as const) {
    const device = await openMutated(order, null, true);
    for (const vocab of [3, SHORT, BLOCK]) {
      const batch = batchOf([2, 5], vocab, "bf16", loss === sequencePolicy);
      const compiled = await device.compile<LossDefinition>(loss, { dtype: "bf16" });
      await compiled.forwardBackward(inputsFor(loss, batch.inputs()), {}, { inPlace: true, nonFinite: "propagate" });
    }
  }
});
