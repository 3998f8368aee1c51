/** Exponents of a row that a factor scales take the factor into their own multiplication: c·x − m is rounded once, and the same for every entry. */
import type { Expression } from "../../dsl/expression.js";
import { rewriter } from "../../dsl/graph.js";
import { ONE, scaledExponent } from "../../dsl/ops/index.js";
import { mapProgram, type Program } from "../program.js";
import { scaledRow } from "./patterns.js";

export function scaleExponents(program: Program): Program {
  return mapProgram(program, rewriter(scaled));
}

function scaled(x: Expression): Expression {
  if (x.op !== "exponent") return x;
  const [z, m] = x.operands;
  const of = scaledRow(z);
  return of && of.factor !== ONE ? scaledExponent(of.row, m, of.factor) : x;
}
