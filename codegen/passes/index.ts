/** The passes over a program, in their order. Every transformation of the graph is one of them, and is verified when it is done. */
import { WHOLE_ROW_OPS } from "../../dsl/ops/index.js";
import type { Op } from "../../dsl/ops/names.js";
import type { Program } from "../program.js";
import { differentiate } from "./gradient.js";
import { lower } from "./lower.js";
import type { Pass } from "./pass.js";
import { scaleExponents } from "./scale-exponents.js";
import { simplify } from "./simplify.js";
import { splitGradient } from "./split-gradient.js";
import { verify } from "./verify.js";

const AUTHORED: readonly Op[] = ["reduce"];
/** `at` stays: it is lowered to the named entries of inputs. */
const LOWERED: readonly Op[] = [...AUTHORED, "stopGradient", ...WHOLE_ROW_OPS];

/** The program as it is made of a loss: not transformed, but verified. */
const start: Pass = { name: "program", run: (program) => program, gone: new Set(AUTHORED) };
/** The pass whose program the `reference` device evaluates. */
export const GRADIENT = "gradient";
const gradient: Pass = { name: GRADIENT, run: differentiate, gone: new Set(AUTHORED) };

export const PASSES: readonly Pass[] = [
  start,
  gradient,
  { name: "lower", run: lower, gone: new Set(LOWERED) },
  { name: "simplify", run: simplify, gone: new Set(LOWERED) },
  { name: "split gradient", run: splitGradient, gone: new Set(LOWERED) },
  { name: "scale exponents", run: scaleExponents, gone: new Set(LOWERED) },
];

/** The program after every pass. `seen` is called after each. */
export function runPasses(program: Program, seen?: (pass: Pass, program: Program) => void): Program {
  return PASSES.reduce((before, pass) => {
    const after = verify(pass.run(before), pass);
    seen?.(pass, after);
    return after;
  }, program);
}
