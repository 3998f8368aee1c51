/** The target `emulated`: the geometry of a GPU, lane by lane on the processor, for tests. */
import { PACKET_BYTES } from "../constants.js";
import { spreadOf } from "../geometry.js";
import { cxx } from "./cxx.js";
import { simtStep, simtSweep } from "./simt.js";
import type { Target } from "./target.js";

/** The GPU that is played. */
const ARCHITECTURE = "sm_90";

export const emulated = {
  prelude: "emulated",
  // Text for tests is compiled often and run on little.
  compiler: cxx({ usual: "-O1", long: "-O1" }),
  binariesFor: null,
  architecture: ARCHITECTURE,
  // A kernel's widest load, as a GPU wants it.
  alignment: PACKET_BYTES,
  runBytes: 0,
  sweep: ({ shape, spread }) => simtSweep(spread?.(shape) ?? spreadOf(ARCHITECTURE, shape), shape),
  step: simtStep,
} as const satisfies Target;
