/** A loss's program as its plan: what the runtime knows of losses, on top of what the planner knows of programs. */
import type { LossDefinition } from "../dsl/define-loss.js";
import { logits as logitsLeaf, policyLogprobs } from "../dsl/policy.js";
import type { Traced } from "../dsl/trace.js";
import { LOGPROBS, LOSS, metricName, outputName, picksIn } from "./loss-program.js";
import { gradientName, neededOf, type Program } from "./program.js";
import { planHeadOf } from "./schedule/head.js";
import type { LogitsDtype, Plan, PlanResults } from "./schedule/plan.js";
import { type PlanningOptions, planned } from "./schedule/planner.js";
import { trafficOf } from "./schedule/traffic.js";

export function planOf(
  definition: LossDefinition,
  { metrics, outputs }: Traced,
  program: Program,
  { logits, ...options }: PlanningOptions & { readonly logits: LogitsDtype | null },
): Plan {
  const { sweeps, kernels, buffers, resultBuffer, statusBuffer } = planned(program, options);
  const config = Object.entries(definition.config).flatMap(([key, declared]) =>
    declared.kind === "scalar" ? [[key, declared.value] as const] : [],
  );
  const results: PlanResults = {
    loss: resultBuffer(LOSS),
    status: statusBuffer,
    logprobs: logits === null ? null : resultBuffer(LOGPROBS),
    gradient: resultBuffer(gradientName(logits === null ? policyLogprobs : logitsLeaf)),
    metrics: [...metrics.keys()].map((key) => ({ key, buffer: resultBuffer(metricName(key)) })),
    outputs: [...outputs].map(([key, { space }]) => ({
      key,
      space: space as "token" | "sequence",
      buffer: resultBuffer(outputName(key)),
    })),
  };
  return {
    format: 1,
    loss: definition.name,
    logits,
    sweeps,
    groupSize: neededOf(program).reduce((most, x) => Math.max(most, (picksIn(x).at(-1) ?? -1) + 1), 0),
    steps: kernels.filter(({ kind }) => kind === "step").length,
    buffers,
    kernels,
    config: Object.fromEntries(config),
    results,
    bytes: trafficOf(
      kernels.flatMap((kernel) => kernel.arguments),
      buffers,
    ),
    head: logits === null ? null : planHeadOf({ kernels, buffers, sweeps }),
  };
}
