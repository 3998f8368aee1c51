/**
 * Ranks and phases: how often the rows must be visited, and how often within a visit. Rank k is known in sweep k; rank k + ½ is known between sweeps k and
 * k + 1. A phase is one map-and-fold over the row inside a sweep.
 */
import type { Expression } from "../dsl/expression.js";
import { topological } from "../dsl/graph.js";

/** A fold of the vocabulary, or what reads one entry of the row: a number per token that only a sweep can tell. */
export function isRowValue(x: Expression): boolean {
  return x.op === "atTarget" || (x.op === "fold" && x.attribute.from === "vocab");
}

export function isMaximum({ op, attribute }: Expression): boolean {
  return op === "fold" && attribute.kind === "max";
}

/** A fold over tokens, sequences or groups. */
export function isCoarseFold(x: Expression): boolean {
  return x.op === "fold" && x.attribute.from !== "vocab";
}

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
    // What an earlier sweep has told needs no phase of this one.
    const within = x.operands.filter((operand) => ranks.get(operand) === rank);
    const phase = Math.max(0, ...within.map((operand) => phases.get(operand) as number));
    phases.set(x, x.op === "fold" && x.attribute.from === "vocab" ? phase + 1 : phase);
  }
  return { rank: (x) => ranks.get(x) as number, phase: (x) => phases.get(x) as number };
}

function rankOf(x: Expression, greatest: number): number {
  if (x.op === "logits" || x.op === "isTarget") return 1;
  if (x.space === "vocab" || isRowValue(x)) return Math.max(1, Math.ceil(greatest));
  if (isCoarseFold(x) && greatest >= 1) return Math.floor(greatest) + 0.5;
  return greatest;
}
