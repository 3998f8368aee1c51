import { expect } from "vitest";
import { defineLoss } from "../../dsl/index.js";
import { mistakes } from "./support.js";

mistakes("OPERATOR_ON_EXPR", [
  {
    name: "a native operator on an expression",
    call: ({ device }) => device.compile(defineLoss({ name: "x", loss: (policy) => -policy.logprobs })),
    says: [],
    also: (error) => expect(error.position?.file).toMatch(/operator-on-expr\.test\.ts$/),
  },
]);
