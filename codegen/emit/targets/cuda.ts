/** The target `cuda`: NVIDIA's GPUs from sm_80 on. */
import { PACKET_BYTES } from "../constants.js";
import { spreadOf } from "../geometry.js";
import { simtStep, simtSweep } from "./simt.js";
import type { Target } from "./target.js";

export const cuda = {
  prelude: "cuda",
  compiler: {
    language: "cuda",
    source: "kernel.cu",
    binary: "kernel.cubin",
    // Contraction is off in every compiler: a fused multiply-add is written where it is meant. Division, roots and subnormals stay exact.
    flags: ["-std=c++17", "-fmad=false"],
  },
  binariesFor: "gpu",
  architecture: null,
  alignment: PACKET_BYTES,
  runBytes: 0,
  sweep: ({ shape, architecture, spread }) => simtSweep(spread?.(shape) ?? spreadOf(architecture, shape), shape),
  step: simtStep,
} as const satisfies Target;
