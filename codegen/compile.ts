/** The whole compiler up to the plan: trace, expand, gradient, lower, simplify, plan, with the verifier after every pass. */
import type { LossDefinition } from "../dsl/define-loss.js";
import { LosscError } from "../dsl/errors.js";
import { trace } from "../dsl/trace.js";
import { expand, type LossGraph } from "./expand.js";
import { withFrame } from "./frame.js";
import { differentiate } from "./passes/gradient.js";
import { lower } from "./passes/lower.js";
import { simplify } from "./passes/simplify.js";
import { verify } from "./passes/verify.js";
import type { LogitsDtype, Plan } from "./plan.js";
import { planOf } from "./planner.js";

export interface CompileRequest {
  readonly loss: LossDefinition;
  /** dtype of the logits; null where the caller brings `policy_logprobs`. */
  readonly logits: LogitsDtype | null;
  /** Static config that differs from its default. */
  readonly statics?: Readonly<Record<string, number | string | boolean>>;
  /** Names of the metrics that are wanted; left out: those that the loss gives unasked. */
  readonly metrics?: readonly string[] | undefined;
  /** Inputs of vocab space that are not given and have a default. */
  readonly absent?: readonly string[];
  /** Number of the plan's first kernel, 0 unless several plans share a translation unit. */
  readonly firstKernel?: number;
}

export interface CompiledPlan {
  readonly plan: Plan;
  /** The loss and its gradient before lowering and simplification: what the `reference` device evaluates. */
  readonly graph: LossGraph;
}

/**
 * Compiles a loss to its plan. Pure, and a matter of milliseconds.
 *
 * @throws LosscError what tracing finds: `SPACE_MISMATCH`, `OPERATOR_ON_EXPR`, `INPUT_UNKNOWN`, `CONFIG_UNKNOWN`, `UNSUPPORTED_SYNTAX`, `INPUT_MISSING`.
 */
export function compilePlan({ loss, logits, statics = {}, metrics, absent = [], firstKernel = 0 }: CompileRequest): CompiledPlan {
  const from = logits === null ? "policy_logprobs" : "logits";
  const traced = withFrame(() => trace(loss, { from, statics, metrics, absent }));
  try {
    const graph = verify(differentiate(verify(expand(loss.name, from, traced), "expand")), "gradient");
    const lowered = verify(lower(graph), "lower");
    return { plan: planOf(loss, verify(simplify(lowered), "simplify"), logits, firstKernel), graph };
  } catch (error) {
    // V8's word for a stack that is full: what a gradient of rows is gathered of is walked as deep as it is nested.
    if (!(error instanceof RangeError)) throw error;
    const message = `the loss "${loss.name}" nests expressions of rows deeper than can be followed: join terms pair by pair in place of one after the other`;
    throw new LosscError("UNSUPPORTED_SYNTAX", message, { cause: error });
  }
}
