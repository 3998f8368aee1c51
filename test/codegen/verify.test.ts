import { expect, it } from "vitest";
import { verify } from "../../codegen/passes/verify.js";
import { type Expression, Node } from "../../dsl/expression.js";
import { neg, sum } from "../../dsl/index.js";
import type { Space } from "../../dsl/spaces.js";
import { differentiated, expanded, lossOf, lowered, node, simplified } from "./graphs.js";

const loss = lossOf(({ policy }) => neg(policy.logprobs));

it("passes what the passes leave behind", () => {
  expect(verify(expanded(loss), "expand").name).toBe("test");
  expect(verify(differentiated(loss), "gradient").name).toBe("test");
  expect(verify(lowered(loss), "lower").name).toBe("test");
  expect(verify(simplified(loss), "simplify").name).toBe("test");
});

const graph = simplified(loss);

it("knows the passes by their names", () => {
  // @ts-expect-error: there is no such pass.
  expect(() => verify(graph, "simplfy")).toThrow();
});

const token = graph.logprobs;
const scalar = graph.loss;
/** A node that no builder makes. */
const made = (op: string, operands: readonly Expression[], space: Space, dtype: "f32" | "bool", attribute: object = {}) =>
  Node.of(op as "fold", operands, space, dtype, attribute as never);

it.each([
  ["a reduction that was not expanded", { loss: node(sum(1 as never)) }, /after simplify.*reduce, batch\) should be gone/],
  ["an op that was lowered", { logprobs: differentiated(loss).logprobs }, /logprobAt.*should be gone/],
  ["a loss that is no scalar", { loss: token }, /should be a scalar/],
  ["an op of the wrong number of operands", { loss: made("exp", [scalar, scalar], "batch", "f32") }, /has 2 operands/],
  ["a node in the wrong space", { loss: made("exp", [token], "batch", "f32") }, /is not in the finest space of its operands/],
  [
    "an operand of the wrong dtype",
    { loss: made("exp", [made("gt", [scalar, scalar], "batch", "bool")], "batch", "f32") },
    /has an operand 0 of dtype bool/,
  ],
  [
    "a fold from coarse to fine",
    { loss: made("fold", [scalar], "batch", "f32", { kind: "sum", from: "batch" }) },
    /folds batch into batch/,
  ],
  [
    "a fold of rows past their tokens",
    { loss: made("fold", [token], "batch", "f32", { kind: "sum", from: "vocab" }) },
    /folds vocab into batch/,
  ],
  [
    "a fold of what is finer",
    { loss: made("fold", [token], "batch", "f32", { kind: "sum", from: "sequence" }) },
    /folds an operand finer than sequence/,
  ],
  ["an op that nobody knows", { loss: made("magic", [], "batch", "f32") }, /magic.*is unknown/],
  [
    "a leaf in the wrong space",
    { loss: made("config", [], "token", "f32", { name: "x" }) },
    /should live in batch space|should be a scalar/,
  ],
])("finds %s, and says after which pass of which loss", (_, change, message) => {
  expect(() => verify({ ...graph, ...change }, "simplify")).toThrow(message);
  expect(() => verify({ ...graph, ...change }, "simplify")).toThrow(/lossc is at fault: after simplify of "test"/);
});

it("finds a gradient per vocabulary entry where there are no rows", () => {
  const from = { ...graph, from: "policy_logprobs" as const };
  expect(() => verify(from, "simplify")).toThrow(/gradient finer than token/);
});
