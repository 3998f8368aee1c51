/** One translation unit: header, geometry, prelude, kernels, entry points. */
import { type RowsAtOnce, type Spread, STEP, stepShared } from "./geometry.js";
import type { KernelText, Launch, Target } from "./plan.js";
import { preludeText } from "./preludes.js";
import { commentText } from "./text.js";

export interface UnitKernel {
  readonly id: string;
  readonly body: string;
  /** `map` is a step without folds. */
  readonly entry: "sweep" | "step" | "map";
  /** Of a sweep on cuda or emulated. */
  readonly spread?: Spread;
  /** Of a sweep on cpu. */
  readonly rows?: RowsAtOnce;
  /** Values that the parts of a row exchange at once, at most. */
  readonly values?: number;
}

export interface Unit {
  readonly target: Target;
  readonly header: readonly string[];
  /** C++ type of the logits. */
  readonly logit: string;
  readonly kernels: readonly UnitKernel[];
  /** See {@link KernelText}. */
  readonly long?: boolean;
}

/** Lines that part the text; tools that swap the prelude look for them. */
export const PRELUDE_MARK = "// ---- prelude ----";
export const KERNELS_MARK = "// ---- kernels ----";
/** Behind it is what a target's geometry makes of the kernels; before it they are the same on every target. */
export const ENTRIES_MARK = "// ---- entry points ----";

export function unitText({ target, header, logit, kernels, long }: Unit): KernelText {
  const text = [
    ...header.map((line) => `// ${line}`),
    PRELUDE_MARK,
    preludeText(target),
    KERNELS_MARK,
    `using logit = ${logit};`,
    ...kernels.flatMap(({ body }) => ["", body]),
    "",
    ENTRIES_MARK,
    ...kernels.flatMap((kernel) => entryText(target, kernel)),
    "",
    "}  // namespace lossc",
    "",
  ].join("\n");
  return { target, text, launches: kernels.map((kernel) => launchOf(target, kernel)), ...(long && { long }) };
}

/** The struct of a kernel: `K0` of `k0`, `BiasTanh` of `biasTanh`. */
function structOf(id: string): string {
  return id.slice(0, 1).toUpperCase() + id.slice(1);
}

/** The entry point: what the addon launches. */
function entryText(target: Target, { id, entry, spread, rows, values = 0 }: UnitKernel): string[] {
  const name = `LOSSC_${entry.toUpperCase()}(${id}, ${structOf(id)}`;
  if (rows === 1) return [`// ${id}: a thread works on one row at once.`, `${name}, 1)`];
  if (rows) return [`// ${id}: a thread works on a row in each lane at once.`, `${name}, kLanes)`];
  if (target === "cpu") return [`${name})`];
  if (!spread) return [`${name}, ${STEP[target]})`];
  const { threads, lanes, cluster, resident, room } = spread;
  const share =
    lanes < threads
      ? `${lanes} of ${threads} threads`
      : cluster > 1
        ? `${cluster} blocks of ${threads} threads`
        : `${threads} threads`;
  const stays = resident ? "which stays in shared memory" : "which every phase reads again";
  return [
    `// ${id}: ${share} share a row, ${stays}.`,
    `${name}, ${threads}, ${lanes}, ${cluster}, ${resident}, ${values}, ${room})`,
  ];
}

function launchOf(target: Target, { id, spread, rows }: UnitKernel): Launch {
  const step = STEP[target];
  if (target === "cpu") return { kernel: id, block: 1, perBlock: rows ?? step, cluster: 1, shared: 0 };
  if (!spread) return { kernel: id, block: step, perBlock: step, cluster: 1, shared: stepShared(step) };
  const { threads, lanes, cluster, shared } = spread;
  return { kernel: id, block: threads, perBlock: threads / lanes, cluster, shared };
}

/** Hand-written kernels over elements, in the primitives of the preludes; for optimisers and policies. */
export function stepUnit(options: {
  readonly target: Target;
  readonly comment: string;
  readonly kernels: readonly { readonly id: string; readonly body: string }[];
}): KernelText {
  const { target, comment, kernels } = options;
  return unitText({
    target,
    header: [commentText(comment)],
    logit: "float",
    kernels: kernels.map(({ id, body }) => ({ id, body, entry: "map" })),
  });
}
