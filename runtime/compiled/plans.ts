/** Plans of losses, made once per dtype and constants for all devices of the process. */
import { type CompiledPlan, compilePlan } from "../../codegen/compile.js";
import type { Plan } from "../../codegen/loss-plan.js";
import type { LogitsDtype } from "../../codegen/loss-program.js";
import type { LossDefinition } from "../../dsl/index.js";
import type { CheckedConfig } from "../inputs/config.js";

const plans = new WeakMap<LossDefinition, Map<string, CompiledPlan>>();

/**
 * The plan of a loss from logits of a dtype, or (null) from `policy_logprobs`, with the metrics that were asked for (left out: those that the loss
 * gives unasked), and with the defaults of inputs of vocab space that are `absent`. Throws what tracing and planning throw.
 */
export function planOf(
  loss: LossDefinition,
  logits: LogitsDtype | null,
  { statics, staticsKey }: CheckedConfig,
  metrics?: readonly string[],
  absent: readonly string[] = [],
): CompiledPlan {
  let known = plans.get(loss);
  if (!known) {
    known = new Map();
    plans.set(loss, known);
  }
  const key = `${logits} ${staticsKey} ${metrics ? JSON.stringify(metrics) : ""} ${JSON.stringify(absent)}`;
  let compiled = known.get(key);
  if (!compiled) {
    compiled = compilePlan({ loss, logits, statics, metrics, absent });
    known.set(key, compiled);
  }
  return compiled;
}

const groupSizes = new WeakMap<Plan, number>();

/** How many data every group of a call must have; 0 where the call need not say how its data are grouped. */
export function groupSizeOf(loss: LossDefinition, plan: Plan): number {
  let size = groupSizes.get(plan);
  if (size === undefined) {
    size = findGroupSize(loss, plan);
    groupSizes.set(plan, size);
  }
  return size;
}

function findGroupSize(loss: LossDefinition, plan: Plan): number {
  const grouped =
    Object.values(loss.inputs).some((input) => input.space === "group") ||
    plan.kernels.some((kernel) => kernel.space === "group") ||
    plan.buffers.some(({ extent, structure }) => {
      const spaces = "per" in extent ? [extent.per] : extent.chunksOf;
      return spaces.includes("group") || structure?.between.includes("group");
    });
  return grouped ? Math.max(1, plan.groupSize) : 0;
}
