/** One translation unit: header, geometry, prelude, kernels, entry points. */
import type { Geometry } from "./geometry.js";
import type { KernelText, Target } from "./plan.js";
import { preludeText } from "./preludes.js";
import { commentText } from "./text.js";

export interface UnitKernel {
  readonly id: string;
  readonly body: string;
  /** `map` is a step without folds. */
  readonly entry: "sweep" | "step" | "map";
}

export interface Unit {
  readonly target: Target;
  readonly header: readonly string[];
  readonly geometry: Geometry;
  /** C++ type of the logits. */
  readonly logit: string;
  readonly kernels: readonly UnitKernel[];
}

/** Lines that part the text; tools that swap the prelude look for them. */
export const PRELUDE_MARK = "// ---- prelude ----";
export const KERNELS_MARK = "// ---- kernels ----";

export function unitText({ target, header, geometry, logit, kernels }: Unit): KernelText {
  const { team, block, step } = geometry;
  const text = [
    ...header.map((line) => `// ${line}`),
    ...constants(target, geometry, kernels),
    PRELUDE_MARK,
    preludeText(target),
    KERNELS_MARK,
    `using logit = ${logit};`,
    ...kernels.flatMap(({ id, body, entry }) => ["", body, `LOSSC_${entry.toUpperCase()}(${id}, ${id.toUpperCase()})`]),
    "",
    "}  // namespace lossc",
    "",
  ].join("\n");
  const launches = kernels.map(({ id, entry }) => ({
    kernel: id,
    block: entry === "sweep" ? block : step,
    perBlock: entry === "sweep" ? (target === "cpu" ? 1 : block / team) : step,
    cluster: 1,
    shared: 0,
  }));
  return { target, text, launches };
}

/** The geometry as text: what its kernels use of it. A thread of the CPU takes what it gets. */
function constants(target: Target, { team, block, step }: Geometry, kernels: readonly UnitKernel[]): string[] {
  const sweeps = target !== "cpu" && kernels.some(({ entry }) => entry === "sweep");
  const steps = target !== "cpu" && kernels.some(({ entry }) => entry !== "sweep");
  return [
    ...(sweeps ? [`constexpr int kTeam = ${team}, kBlock = ${block};  // lanes of a row, threads of a sweep's block`] : []),
    ...(steps ? [`constexpr int kStep = ${step};  // threads of a step's block`] : []),
  ];
}

/** Hand-written kernels over elements, in the primitives of the preludes; for optimisers and policies. */
export function stepUnit(options: {
  readonly target: Target;
  readonly architecture: string;
  readonly comment: string;
  readonly kernels: readonly { readonly id: string; readonly body: string }[];
}): KernelText {
  const { target, comment, kernels } = options;
  const geometry: Geometry = { team: 1, block: 1, step: target === "cpu" ? 1024 : 256 };
  return unitText({
    target,
    header: [commentText(comment)],
    geometry: target === "cpu" ? geometry : { ...geometry, team: 32, block: 128 },
    logit: "float",
    kernels: kernels.map(({ id, body }) => ({ id, body, entry: "map" })),
  });
}
