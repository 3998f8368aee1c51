import { expect, it } from "vitest";
import { LOSS } from "../../codegen/loss-program.js";
import { PASSES, runPasses } from "../../codegen/passes/index.js";
import { verify } from "../../codegen/passes/verify.js";
import type { Program } from "../../codegen/program.js";
import { type Expression, Node } from "../../dsl/expression.js";
import { neg, sum } from "../../dsl/index.js";
import { at, indexOfEntry, input } from "../../dsl/ops/index.js";
import { logits } from "../../dsl/policy.js";
import type { Space } from "../../dsl/spaces.js";
import { differentiated, logprobsIn, lossIn, lossOf, node, programOf, simplified } from "./graphs.js";

const loss = lossOf(({ policy }) => neg(policy.logprobs));

it("passes what the passes leave behind", () => {
  const seen: string[] = [];
  expect(runPasses(programOf(loss), ({ name }) => seen.push(name)).name).toBe("test");
  expect(seen).toEqual(PASSES.map(({ name }) => name));
});

const graph = simplified(loss);

const last = PASSES.find(({ name }) => name === "simplify") as (typeof PASSES)[number];

const token = logprobsIn(graph);
const scalar = lossIn(graph);
/** A node that no builder makes. */
const made = (op: string, operands: readonly Expression[], space: Space, dtype: "f32" | "bool", attribute: object = {}) =>
  Node.of(op as "fold", operands, space, dtype, attribute as never);

it.each([
  ["a reduction that was not spelt out", { [LOSS]: node(sum(1 as never)) }, /after simplify.*reduce, batch\) should be gone/],
  ["an op that was lowered", { logprobs: logprobsIn(differentiated(loss)) }, /logprobAt.*should be gone/],
  ["a loss that is no scalar", { [LOSS]: token }, /should be a scalar/],
  ["an op of the wrong number of operands", { [LOSS]: made("exp", [scalar, scalar], "batch", "f32") }, /has 2 operands/],
  ["a node in the wrong space", { [LOSS]: made("exp", [token], "batch", "f32") }, /is not in the finest space of its operands/],
  [
    "an operand of the wrong dtype",
    { [LOSS]: made("exp", [made("gt", [scalar, scalar], "batch", "bool")], "batch", "f32") },
    /has an operand 0 of dtype bool/,
  ],
  [
    "a fold from coarse to fine",
    { [LOSS]: made("fold", [scalar], "batch", "f32", { kind: "sum", from: "batch" }) },
    /folds batch into batch/,
  ],
  [
    "a fold of rows past their tokens",
    { [LOSS]: made("fold", [token], "batch", "f32", { kind: "sum", from: "vocab" }) },
    /folds vocab into batch/,
  ],
  [
    "a fold of what is finer",
    { [LOSS]: made("fold", [token], "batch", "f32", { kind: "sum", from: "sequence" }) },
    /folds an operand of another space than sequence/,
  ],
  ["a value of the wrong dtype", { [LOSS]: made("gt", [scalar, scalar], "batch", "f32") }, /is of dtype f32/],
  [
    "a choice between two dtypes",
    {
      [LOSS]: made(
        "where",
        [made("gt", [scalar, scalar], "batch", "bool"), made("gt", [scalar, scalar], "batch", "bool"), scalar],
        "batch",
        "f32",
      ),
    },
    /has operands of two dtypes/,
  ],
  ["an op that nobody knows", { [LOSS]: made("magic", [], "batch", "f32") }, /magic.*is unknown/],
  [
    "a leaf in the wrong space",
    { [LOSS]: made("config", [], "token", "f32", { name: "x" }) },
    /should live in batch space|should be a scalar/,
  ],
])("finds %s, and says after which pass of which loss", (_, change, message) => {
  const results = graph.results.map((result) => ({
    ...result,
    x: (change as Readonly<Record<string, Expression>>)[result.name] ?? result.x,
  }));
  expect(() => verify({ ...graph, results }, last)).toThrow(message);
  expect(() => verify({ ...graph, results }, last)).toThrow(/lossc is at fault: after simplify of "test"/);
});

it("finds a reduction that was not spelt out, whatever the pass says is gone", () => {
  const results = [...graph.results, { name: "other", space: "batch", x: node(sum(1 as never)), always: false } as const];
  expect(() => verify({ ...graph, results }, { ...last, gone: new Set() })).toThrow(/was not spelt out/);
});

it("finds an entry that another input names than the one that names those of the rows", () => {
  const results = [...graph.results, { name: "other", space: "token", x: at(logits, "candidate"), always: false } as const];
  expect(() => verify({ ...graph, results }, last)).toThrow(/asks for the entry that "candidate" names/);
});

it("finds an input that the program does not have", () => {
  const results = [...graph.results, { name: "other", space: "token", x: input("stray", "token"), always: false } as const];
  expect(() => verify({ ...graph, results }, last)).toThrow(/is the input "stray", which the program does not have/);
});

it("finds a value per vocabulary entry that is wanted per token", () => {
  const results = [...graph.results, { name: "other", space: "token", x: indexOfEntry, always: false } as const];
  expect(() => verify({ ...graph, results }, last)).toThrow(/is wanted per token/);
});

it("finds a gradient per vocabulary entry where there are no rows", () => {
  const rowless: Program = { ...graph, rows: null };
  expect(() => verify(rowless, last)).toThrow(/gradient per entry where there are no rows/);
});
