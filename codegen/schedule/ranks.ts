/**
 * Ranks and phases: how often rows must be visited, and how often within a visit. A value of rank k is known in sweep k, one of rank k + ½ between
 * sweeps k and k + 1. A phase is one map-and-fold over the row inside a sweep.
 */
import type { Expression } from "../../dsl/expression.js";
import { topological } from "../../dsl/graph.js";
import { isCoarseFold, isRowFold, isRowValue } from "../../dsl/ops/index.js";
import { isRow } from "../../dsl/spaces.js";

export interface Ranks {
  rank(x: Expression): number;
  /** Of a fold over the vocabulary: 1 and up. Meaningful within its own sweep. */
  phase(x: Expression): number;
}

/** Ranks and phases of everything that the roots need. */
export function ranksOf(roots: readonly Expression[]): Ranks {
  const ranks = new Map<Expression, number>();
  const phases = new Map<Expression, number>();
  for (const x of topological(roots)) {
    const greatest = Math.max(0, ...x.operands.map((operand) => ranks.get(operand) as number));
    const rank = rankOf(x, greatest);
    ranks.set(x, rank);
    // A value of an earlier sweep needs no phase of this one.
    const within = x.operands.filter((operand) => ranks.get(operand) === rank);
    const phase = Math.max(0, ...within.map((operand) => phases.get(operand) as number));
    phases.set(x, isRowFold(x) ? phase + 1 : phase);
  }
  return { rank: (x) => ranks.get(x) as number, phase: (x) => phases.get(x) as number };
}

function rankOf(x: Expression, greatest: number): number {
  if (isRow(x.space) || isRowValue(x)) return Math.max(1, Math.ceil(greatest));
  if (isCoarseFold(x) && greatest >= 1) return Math.floor(greatest) + 0.5;
  return greatest;
}
