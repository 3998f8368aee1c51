/** Losses as the passes see them, for tests of the passes. */

import { gradientOf, LOGPROBS, LOSS, lossProgram } from "../../codegen/loss-program.js";
import { differentiate } from "../../codegen/passes/gradient.js";
import { lower } from "../../codegen/passes/lower.js";
import { simplify } from "../../codegen/passes/simplify.js";
import { type Program, resultOf } from "../../codegen/program.js";
import { defineLoss, type Expr, type Expression, type LossDefinition, type LossReturn, type Policy } from "../../dsl/index.js";
import { trace } from "../../dsl/trace.js";

export interface Given {
  readonly policy: Policy;
  /** Inputs: a and b per token, s per sequence, e one number. */
  readonly a: Expr;
  readonly b: Expr;
  readonly s: Expr;
  readonly e: Expr;
}

export const lossOf = (f: (given: Given) => LossReturn, name = "test"): LossDefinition =>
  defineLoss({
    name,
    inputs: { a: "token", b: "token", s: "sequence", e: "batch" },
    loss: (policy, inputs) => f({ policy, ...inputs }),
  }) as unknown as LossDefinition;

/** An author's expression as the node that it is. */
export const node = (x: Expr): Expression => x as unknown as Expression;

export type From = "logits" | "policy_logprobs";
export const programOf = (loss: LossDefinition, from: From = "logits"): Program =>
  lossProgram(loss, trace(loss, { from, statics: {} }), from === "logits" ? "f32" : null);
export const lossIn = (program: Program): Expression => resultOf(program, LOSS).x;
export const logprobsIn = (program: Program): Expression => resultOf(program, LOGPROBS).x;
export const gradientIn = (program: Program): Expression => gradientOf(program).x;
export const differentiated = (loss: LossDefinition, from: From = "logits"): Program => differentiate(programOf(loss, from));
export const lowered = (loss: LossDefinition, from: From = "logits"): Program => lower(differentiated(loss, from));
export const simplified = (loss: LossDefinition, from: From = "logits"): Program => simplify(lowered(loss, from));

/** A graph as one line, for comparing and reading. */
export function said(x: Expression): string {
  if (x.op === "constant") return String(x.attribute.value);
  if (x.op === "input") return String(x.attribute.name);
  const kind = x.op === "fold" ? `${x.attribute.kind}[${x.attribute.from}→${x.space}]` : x.op;
  return x.operands.length === 0 ? kind : `${kind}(${x.operands.map(said).join(", ")})`;
}
