/** The whole compiler up to the plan: trace, program, passes, plan. */
import type { LossDefinition } from "../dsl/define-loss.js";
import { LosscError } from "../dsl/errors.js";
import { trace } from "../dsl/trace.js";
import { withFrame } from "./frame.js";
import { type Plan, planOf } from "./loss-plan.js";
import { type LogitsDtype, lossProgram } from "./loss-program.js";
import { GRADIENT, runPasses } from "./passes/index.js";
import type { Observer } from "./passes/pass.js";
import type { Program } from "./program.js";

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
  /** Is shown what every pass leaves. */
  readonly observer?: Observer;
}

export interface CompiledPlan {
  readonly plan: Plan;
  /** The loss and its gradient before lowering and simplification: the `reference` device evaluates it. */
  readonly program: Program;
}

/**
 * Compiles a loss to its plan. Pure, and a matter of milliseconds.
 *
 * @throws LosscError what tracing finds: `SPACE_MISMATCH`, `OPERATOR_ON_EXPR`, `INPUT_UNKNOWN`, `CONFIG_UNKNOWN`, `UNSUPPORTED_SYNTAX`, `INPUT_MISSING`.
 */
export function compilePlan({
  loss,
  logits,
  statics = {},
  metrics,
  absent = [],
  firstKernel = 0,
  observer = {},
}: CompileRequest): CompiledPlan {
  const from = logits === null ? "policy_logprobs" : "logits";
  const traced = withFrame(() => trace(loss, { from, statics, metrics, absent }));
  try {
    let program = lossProgram(loss, traced, logits);
    const last = runPasses(program, ({ name }, after) => {
      if (name === GRADIENT) program = after;
      observer.program?.(name, after);
    });
    return { plan: planOf(loss, traced, last, { logits, firstKernel, observer }), program };
  } catch (error) {
    // The terms of a row's gradient are visited as deep as they are nested, and V8 throws this where the stack is full.
    if (!(error instanceof RangeError && error.message.includes("call stack"))) throw error;
    const message = `the loss "${loss.name}" nests expressions of rows deeper than can be followed: join terms pair by pair in place of one after the other`;
    throw new LosscError("UNSUPPORTED_SYNTAX", message, { cause: error });
  }
}
