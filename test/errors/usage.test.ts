import type { LossDefinition } from "../../dsl/index.js";
import { ppo } from "../../losses/index.js";
import { openDevice } from "../../runtime/index.js";
import { ppoInputs } from "../runtime/support.js";
import { mistakes } from "./support.js";

mistakes("USAGE", [
  {
    name: "compiling a copy of a definition",
    call: ({ device }) => device.compile({ ...ppo, name: "mine" }),
    says: ["was given an object", "a copy of it is none", 'defineLoss({ ...ppo, name: "mine" })'],
  },
  {
    name: "compiling what is no loss",
    call: ({ device }) => device.compile({ name: "x" } as LossDefinition),
    says: ["defineLoss()"],
  },
  {
    name: "an option that there is not",
    call: ({ ppo }) => ppo.forwardBackward(ppoInputs(), {}, { inplace: true } as object),
    says: [`"inplace"; did you mean "inPlace"?`],
  },
  {
    name: "an option of the wrong type",
    call: ({ ppo }) => ppo.forwardBackward(ppoInputs(), {}, { skipMasked: 1 as unknown as boolean }),
    says: ["skipMasked", "true or false"],
  },
  {
    name: "an unknown way with non-finite values",
    call: ({ ppo }) => ppo.forwardBackward(ppoInputs(), {}, { nonFinite: "ignore" as "propagate" }),
    says: ['"ignore"', '"propagate"'],
  },
  {
    name: "a signal that is none",
    call: ({ ppo }) => ppo.forwardBackward(ppoInputs(), {}, { signal: {} as AbortSignal }),
    says: ["signal", "AbortSignal"],
  },
  {
    name: "a hole among the names of metrics",
    call: ({ ppo }) =>
      ppo.forwardBackward(ppoInputs(), {}, { metrics: Object.assign(new Array<string>(2), { 0: "ratio/mean" }) }),
    says: ["metrics[1] is undefined", "a list of names"],
  },
  {
    name: "null among the names of metrics",
    call: ({ ppo }) => ppo.forwardBackward(ppoInputs(), {}, { metrics: [null as never] }),
    says: ["metrics[0] is null"],
  },
  { name: "no threads", call: () => openDevice("cpu", { threads: 0 }), says: ["threads is 0"] },
  {
    name: "an order of lanes that there is not",
    call: () => openDevice("emulated", { order: -1 }),
    says: ["order is -1", '"reverse"'],
  },
]);
