/** After the gradient: ops that read a row become folds over it, and `stopGradient` has done its work. The table of ops says how. */
import type { Expression } from "../../dsl/expression.js";
import { rewriter } from "../../dsl/graph.js";
import { isRowOp, lowerRow, opRow } from "../../dsl/ops/index.js";
import { mapProgram, type Program } from "../program.js";

export function lower(program: Program): Program {
  return mapProgram(program, rewriter(lowered));
}

function lowered(x: Expression): Expression {
  if (isRowOp(x)) return lowerRow(x);
  return opRow(x.op)?.lower?.(...x.operands) ?? x;
}
