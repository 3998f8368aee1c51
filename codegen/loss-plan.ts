/** A loss's program as its plan: what the runtime knows of losses, on top of what the planner knows of programs. */
import type { LossDefinition } from "../dsl/define-loss.js";
import { topological } from "../dsl/graph.js";
import { logits as logitsLeaf, policyLogprobs } from "../dsl/policy.js";
import type { Traced } from "../dsl/trace.js";
import { LOGPROBS, LOSS, type LogitsDtype, metricName, outputName } from "./loss-program.js";
import { type PlanningOptions, planned } from "./planner.js";
import { gradientName, neededOf, type Program } from "./program.js";
import { type PlanHead, planHeadOf } from "./schedule/head.js";
import type { KernelPlan } from "./schedule/plan.js";
import { trafficOf } from "./schedule/traffic.js";

/** The result of compiling a loss. */
export interface Plan extends KernelPlan {
  readonly format: 2;
  /** dtype of the logits; null where the caller brings `policy_logprobs`. */
  readonly logits: LogitsDtype | null;
  /** Sequences that every group must have, because the loss picks them; 0 where it picks none. */
  readonly groupSize: number;
  /** Runtime scalars of the loss with their defaults. */
  readonly config: Readonly<Record<string, number>>;
  readonly results: PlanResults;
  /** From hidden states and a head in place of logits; null where the caller brings `policy_logprobs`. */
  readonly head: PlanHead | null;
}

/** The buffers of a call's results. */
export interface PlanResults {
  /** float64 or float32, one element. */
  readonly loss: number;
  /** See `STATUS`. */
  readonly status: number;
  /** float32 per token; null from `policy_logprobs`. */
  readonly logprobs: number | null;
  /** Gradient of the logits (token × vocabulary, may share memory with the input `logits`) or of `policy_logprobs` (float32 per token). */
  readonly gradient: number;
  /** float64 or float32, one element each. */
  readonly metrics: readonly { readonly key: string; readonly buffer: number }[];
  readonly outputs: readonly { readonly key: string; readonly space: "token" | "sequence"; readonly buffer: number }[];
}

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
    format: 2,
    name: program.name,
    logits,
    sweeps,
    groupSize: topological(neededOf(program)).reduce(
      (most, x) => (x.op === "fold" ? Math.max(most, (x.attribute.picks ?? -1) + 1) : most),
      0,
    ),
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
