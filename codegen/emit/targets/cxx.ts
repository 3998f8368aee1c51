/** The C++ compiler of the targets that run on the machine's processor. */
import type { CxxCompiler } from "./target.js";

/**
 * Never `-ffast-math`: infinities and NaN are data here, and sums keep their order. Only `errno` and floating-point traps, which nobody looks at, are
 * switched off, and contraction, so that every multiply-add that is fused is written as one.
 */
const FLAGS = [
  "-std=c++17",
  "-ffp-contract=off",
  "-fno-math-errno",
  "-fno-trapping-math",
  "-fno-exceptions",
  "-fno-rtti",
  "-fPIC",
  "-shared",
  "-w",
] as const;

export function cxx(optimise: CxxCompiler["optimise"]) {
  return { language: "c++", source: "kernel.cpp", binary: "kernel.so", flags: FLAGS, optimise } as const;
}
