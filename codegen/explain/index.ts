/** `lossc explain`: a loss and its gradient as formulas, the kernels that run, and why. */
import type { LossDefinition } from "../../dsl/define-loss.js";
import { trace } from "../../dsl/trace.js";
import { compilePlan } from "../compile.js";
import type { LogitsDtype } from "../loss-program.js";
import type { Traffic } from "../schedule/traffic.js";
import { type Formula, formulaOf, takenNames, tidied } from "./formula.js";
import { type HeadExplanation, headExplanation } from "./head.js";
import { type Execution, executionOf } from "./kernels.js";
import { pictureOf } from "./picture.js";

export interface Explanation {
  readonly loss: string;
  readonly inputs: Readonly<Record<string, { readonly space: string; readonly dtype: string; readonly default?: number }>>;
  readonly config: Readonly<Record<string, number | string | boolean>>;
  readonly metrics: readonly string[];
  readonly formula: Formula;
  readonly execution: Execution;
  /** From hidden states and a head in place of logits. */
  readonly head: HeadExplanation;
  readonly bytes: Traffic & {
    readonly vocab: number;
    readonly dtype: LogitsDtype;
    /** All that one token moves. */
    readonly token: number;
  };
  /** The graph for graphviz. */
  readonly dot: string;
}

export interface ExplainOptions {
  readonly dtype: LogitsDtype;
  readonly vocab: number;
}

/** The data of `lossc explain`. Opens no device. */
export function explainLoss(loss: LossDefinition, { dtype, vocab }: ExplainOptions): Explanation {
  const { plan, program } = compilePlan({ loss, logits: dtype });
  const traced = trace(loss, { from: "logits", statics: {} });
  const formulas = tidied(loss, traced, program);
  const formula = formulaOf(loss, traced, formulas);
  return {
    loss: loss.name,
    inputs: loss.inputs,
    config: Object.fromEntries(Object.entries(loss.config).map(([name, { value }]) => [name, value])),
    metrics: [...traced.metrics.keys()],
    formula,
    head: headExplanation(plan),
    execution: executionOf(plan, program, formulas, takenNames(loss)),
    bytes: { ...plan.bytes, vocab, dtype, token: plan.bytes.perEntry * vocab + plan.bytes.perToken },
    dot: pictureOf(loss, formulas, plan.sweeps, formula.gradient),
  };
}
