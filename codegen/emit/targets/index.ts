/** The targets, by name. A new one is a file beside this, a line here, and a folder of `codegen/preludes/`. */
import { cpu } from "./cpu.js";
import { cuda } from "./cuda.js";
import { emulated } from "./emulated.js";
import type { Target } from "./target.js";

export const TARGETS = { cuda, cpu, emulated } as const satisfies Readonly<Record<string, Target>>;

type Targets = typeof TARGETS;
export type TargetName = keyof Targets;
/** Targets whose text a C++ compiler takes. */
export type CxxTarget = { [N in TargetName]: Targets[N]["compiler"]["language"] extends "c++" ? N : never }[TargetName];
/** Targets whose binaries are made ahead of time. */
export type ShippedTarget = { [N in TargetName]: Targets[N]["binariesFor"] extends null ? never : N }[TargetName];

export const TARGET_NAMES = Object.keys(TARGETS) as readonly TargetName[];
export const SHIPPED_TARGETS = TARGET_NAMES.filter((name): name is ShippedTarget => TARGETS[name].binariesFor !== null);

export function isCxxTarget(name: TargetName): name is CxxTarget {
  return TARGETS[name].compiler.language === "c++";
}

export type { Compiler, CudaCompiler, CxxCompiler, Entry, Launch, Sweep, Target } from "./target.js";
