/** One translation unit: header, prelude, kernels, entry points. */

import { preludeText } from "./preludes.js";
import { type Entry, type Launch, TARGETS, type TargetName } from "./targets/index.js";
import { commentText } from "./text.js";

/** One translation unit for one target: its prelude, and kernels with their geometry. */
export interface KernelText {
  readonly target: TargetName;
  readonly text: string;
  readonly launches: readonly Launch[];
  /** Set where a plan's kernels are so long that a C++ compiler is asked for less: it would take minutes for what saves microseconds. */
  readonly long?: true;
}

export interface UnitKernel {
  readonly id: string;
  readonly body: string;
  /** The prelude's macro for the entry point: `LOSSC_SWEEP` and its like. `map` is a step without folds. */
  readonly kind: "sweep" | "step" | "map";
  readonly entry: Entry;
}

export interface Unit {
  readonly target: TargetName;
  readonly header: readonly string[];
  readonly kernels: readonly UnitKernel[];
  /** See {@link KernelText}. */
  readonly long?: boolean;
}

/** Lines that part the text; tools that swap the prelude look for them. */
export const PRELUDE_MARK = "// ---- prelude ----";
export const KERNELS_MARK = "// ---- kernels ----";
/** Behind it is what a target's geometry makes of the kernels; before it they are the same on every target. */
export const ENTRIES_MARK = "// ---- entry points ----";

export function unitText({ target, header, kernels, long }: Unit): KernelText {
  const text = [
    ...header.map((line) => `// ${line}`),
    PRELUDE_MARK,
    preludeText(target),
    KERNELS_MARK,
    ...kernels.flatMap(({ body }) => ["", body]),
    "",
    ENTRIES_MARK,
    ...kernels.flatMap(entryText),
    "",
    "}  // namespace lossc",
    "",
  ].join("\n");
  const launches = kernels.map(({ id, entry }) => ({ kernel: id, ...entry.launch }));
  return { target, text, launches, ...(long && { long }) };
}

/** The struct of a kernel: `K0` of `k0`, `BiasTanh` of `biasTanh`. */
const structOf = (id: string): string => id.slice(0, 1).toUpperCase() + id.slice(1);

function entryText({ id, kind, entry }: UnitKernel): string[] {
  const list = [id, structOf(id), ...entry.arguments].join(", ");
  return [...(entry.comment === null ? [] : [`// ${id}: ${entry.comment}`]), `LOSSC_${kind.toUpperCase()}(${list})`];
}

/** Hand-written kernels over elements, in the primitives of the preludes; for optimisers and policies. */
export function stepUnit(options: {
  readonly target: TargetName;
  readonly comment: string;
  readonly kernels: readonly { readonly id: string; readonly body: string }[];
}): KernelText {
  const { target, comment, kernels } = options;
  const { step } = TARGETS[target];
  return unitText({
    target,
    header: [commentText(comment)],
    kernels: kernels.map(({ id, body }) => ({ id, body, kind: "map", entry: step })),
  });
}
