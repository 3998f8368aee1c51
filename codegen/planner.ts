/** The planner: from a simplified graph to the ordered kernels and their memory. */
import type { LossDefinition } from "../dsl/define-loss.js";
import type { Expression } from "../dsl/expression.js";
import { topological } from "../dsl/graph.js";
import { Buffers } from "./buffers.js";
import { type LossGraph, neededOf, picksIn } from "./expand.js";
import { planHeadOf } from "./head.js";
import { rootsOf, withKept } from "./keep.js";
import { writeKernel } from "./kernel.js";
import type { LogitsDtype, Plan } from "./plan.js";
import { isCoarseFold, isRowValue } from "./ranks.js";
import { isSweep, type Schedule, type Slot, SWEEP, schedule } from "./schedule.js";
import { trafficOf } from "./traffic.js";

export function planOf(definition: LossDefinition, graph: LossGraph, logits: LogitsDtype | null, firstKernel: number): Plan {
  const planned = withKept(graph, schedule(graph));
  const buffers = new Buffers(graph, definition.inputs, logits, planned);
  const kept = keptRowValues(graph, planned, buffers);
  const kernels = planned.slots.map((slot, i) =>
    writeKernel({ id: `k${firstKernel + i}`, graph, schedule: planned, slot, buffers, kept: [...(kept.get(slot) ?? [])] }),
  );
  const scalar = (x: Expression) => (isCoarseFold(x) ? buffers.foldResult(x) : buffers.store(x, "batch")).id;
  const config = Object.entries(definition.config).flatMap(([key, declared]) =>
    declared.kind === "scalar" ? [[key, declared.value] as const] : [],
  );
  const results = {
    loss: scalar(graph.loss),
    status: buffers.status().id,
    logprobs: logits === null ? null : buffers.store(graph.logprobs, "token").id,
    gradient: logits === null ? buffers.store(graph.gradient as Expression, "token").id : buffers.gradient().id,
    metrics: [...graph.metrics].map(([key, x]) => ({ key, buffer: scalar(x) })),
    outputs: [...graph.outputs].map(([key, { space, x }]) => ({
      key,
      space: space as "token" | "sequence",
      buffer: buffers.store(x, space).id,
    })),
  };
  return {
    format: 1,
    loss: definition.name,
    logits,
    sweeps: planned.sweeps,
    groupSize: neededOf(graph).reduce((most, x) => Math.max(most, (picksIn(x).at(-1) ?? -1) + 1), 0),
    steps: kernels.filter(({ kind }) => kind === "step").length,
    buffers: buffers.list,
    kernels,
    config: Object.fromEntries(config),
    results,
    bytes: trafficOf(
      kernels.flatMap((kernel) => kernel.arguments),
      buffers.list,
    ),
    head: logits === null ? null : planHeadOf({ kernels, buffers: buffers.list, sweeps: planned.sweeps }),
  };
}

/** Row values that a kernel needs after their sweep: a number per token is kept rather than recomputed. */
function keptRowValues(graph: LossGraph, { slots, ranks }: Schedule, buffers: Buffers): Map<Slot, Set<Expression>> {
  const kept = new Map<Slot, Set<Expression>>();
  const homes = new Map(slots.filter(isSweep).map((slot) => [slot.time / SWEEP, slot]));
  // From the last kernel to the first: what a kernel keeps, it must also be able to compute.
  for (const slot of [...slots].reverse()) {
    const sweep = isSweep(slot) ? slot.time / SWEEP : null;
    const isKnown = (x: Expression) => isCoarseFold(x) || buffers.isStoredBefore(x, slot) !== null;
    const isElsewhere = (x: Expression) => isRowValue(x) && ranks.rank(x) !== sweep;
    const roots = [...rootsOf(graph, slot), ...(kept.get(slot) ?? [])];
    for (const x of topological(roots, (y) => isKnown(y) || isElsewhere(y))) {
      if (isKnown(x) || !isElsewhere(x)) continue;
      const home = homes.get(ranks.rank(x)) as Slot;
      if (!kept.has(home)) kept.set(home, new Set());
      kept.get(home)?.add(x);
      buffers.willStore(x, home);
    }
  }
  return kept;
}
