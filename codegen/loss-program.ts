/**
 * Losses as programs: here stands what a loss has, logits or the policy's logprobs, a target and weights. Weights and reductions are spelt out: there
 * are no `reduce` nodes afterwards, every fold carries its mask, and the loss is a scalar. "A token of weight 0 contributes exactly 0" comes from
 * here.
 */
import type { LossDefinition } from "../dsl/define-loss.js";
import type { InputDtype } from "../dsl/dtypes.js";
import { constantValue, type Expression } from "../dsl/expression.js";
import { operandsFirst, rewriter, topological, withOperands } from "../dsl/graph.js";
import {
  add,
  and,
  div,
  eq,
  exp,
  fold,
  gt,
  isFinite,
  log,
  mul,
  mulNoNan,
  ne,
  ONE,
  pick,
  sqrt,
  square,
  stopGradient,
  sub,
  WHOLE_ROW_OPS,
  where,
  ZERO,
} from "../dsl/ops/index.js";
import type { Reduction } from "../dsl/ops/names.js";
import { logits, policyLogprobs, TARGET, targetLogprob, weights } from "../dsl/policy.js";
import { type ElementSpace, finerLevel, isPerEntry, type Level, levelOf, type Space } from "../dsl/spaces.js";
import type { Traced } from "../dsl/trace.js";
import { gradientName, type InputType, type Placed, type Program, type Result, resultOf, type Seed } from "./program.js";

/** How logits lie in memory; their gradient has the same dtype. */
export type LogitsDtype = InputDtype;

/** Whether an element counts: a token of non-zero weight, or a sequence, group or batch that holds one. */
function counts(space: Level): Expression {
  // A batch counts its tokens at once.
  const finer = space === "batch" ? "token" : finerLevel(space);
  if (finer === null) return ne(weights, 0);
  return gt(fold("sum", counts(finer), finer, space), 0);
}

/** Whether an element counts for x: where x picks from its group, every sequence that it picks must hold a token that counts. */
function countsFor(x: Expression, space: Level): Expression {
  const picked = picksIn(x).map((i) => gt(pick(where(counts("sequence"), 1, 0), i), 0));
  // A group counts where one of its sequences does, so also where those do that are picked.
  return (space === "group" && picked.length > 0 ? picked : [counts(space), ...picked]).reduce((a, b) => and(a, b));
}

/** The places within the group of an element that x picks. Scalars are of the whole batch, and groups count in them by themselves. */
const picksIn = operandsFirst((x): readonly number[] => {
  if (x.space === "batch") return [];
  const own = x.op === "fold" && x.attribute.picks !== undefined ? [x.attribute.picks] : [];
  const below = x.operands.map(picksIn).filter((places) => places.length > 0);
  if (own.length + below.length <= 1) return below[0] ?? own;
  return [...new Set([...own, ...below.flat()])].sort((a, b) => a - b);
});

/** Whether an entry of the row is one of the vocabulary's. */
export const isPresent = ne(logits, Number.NEGATIVE_INFINITY);

/**
 * x where its element counts, else what a fold ignores. An entry of a row counts where its logit is there; of the entries that all rows share every
 * one counts.
 */
function masked(x: Expression, space: Space, otherwise: number, of = x): Expression {
  if (space === "entry") return x;
  return where(space === "vocab" ? isPresent : countsFor(of, levelOf(space)), x, otherwise);
}

/**
 * The row whose probabilities are asked for, without the entries that are not there: some functions of a logit of -inf are finite, and 0 times it is
 * 0. What is left as it is: what does not come from the policy, and logits that a positive number scales, or a temperature divides, which is never
 * infinite.
 */
function rowOf(z: Expression): Expression {
  if (z === logits || isScaled(z) || !topological([z]).includes(logits)) return z;
  return masked(z, "vocab", Number.NEGATIVE_INFINITY);
}

/** Whether z is the logits, scaled by a positive number or divided by a temperature. */
function isScaled(z: Expression): boolean {
  if (z.op !== "div" && z.op !== "mul" && z.op !== "mulNoNan") return false;
  const [a, b] = z.operands;
  if (a !== logits && (b !== logits || z.op === "div")) return false;
  const factor = a === logits ? b : a;
  return !isPerEntry(factor.space) && (constantValue(factor) ?? (z.op === "div" ? 1 : 0)) > 0;
}

function reduction(x: Expression, kind: Reduction, to: Space, unbiased: boolean): Expression {
  // A scalar is its own only element.
  const from = x.space === "batch" ? null : x.space;
  const folded = (fold_: "sum" | "max" | "min", y: Expression, otherwise: number): Expression => {
    if (from === null) return y.dtype === "bool" ? where(y, 1, 0) : y;
    if (from !== "vocab" || to === "token") return fold(fold_, masked(y, from, otherwise, x), from, to);
    // Rows are folded to their tokens first: that is what a sweep can do.
    const perToken = fold(fold_, masked(y, from, otherwise), from, "token");
    return fold(fold_, masked(perToken, "token", otherwise, x), "token", to);
  };
  const number = from === null ? ONE : folded("sum", ONE, 0);
  const average = () => div(folded("sum", x, 0), number);
  const spread = () => div(folded("sum", square(sub(x, stopGradient(average()))), 0), unbiased ? sub(number, 1) : number);
  switch (kind) {
    case "sum":
      return folded("sum", x, 0);
    case "count":
      return x.dtype === "bool" ? folded("sum", x, 0) : number;
    case "mean":
      return average();
    case "variance":
      return spread();
    case "std": {
      const v = spread();
      return where(eq(v, 0), 0, sqrt(v));
    }
    case "amax":
      return folded("max", x, Number.NEGATIVE_INFINITY);
    case "amin":
      return folded("min", x, Number.POSITIVE_INFINITY);
    case "logsumexp": {
      const greatest = stopGradient(folded("max", x, Number.NEGATIVE_INFINITY));
      const shift = where(isFinite(greatest), greatest, 0);
      return add(shift, log(folded("sum", exp(sub(x, shift)), 0)));
    }
  }
}

/** A term of the loss. `counted`: which of its elements count; null where the term is 0 by itself if none does. */
interface Term {
  readonly space: ElementSpace;
  readonly counted: Expression | null;
  readonly x: Expression;
}

function termOf(x: Expression): Term {
  if (x.space === "batch") {
    // A sum over nothing is 0 by itself; every other scalar of an empty batch is put to 0.
    const isZero = x.op === "fold" && x.attribute.kind === "sum" && x.attribute.from !== "entry";
    return { space: "batch", counted: isZero ? null : counts("batch"), x };
  }
  const perToken = x.space === "vocab" ? fold("sum", masked(x, "vocab", 0), "vocab", "token") : x;
  const space = levelOf(perToken.space);
  return { space, counted: countsFor(perToken, space), x: perToken };
}

/** Terms of one kind up to which each is folded, and checked for numbers that are not finite, by itself. */
const FEW_TERMS = 16;

/** The terms of a loss. Many of which the same elements count are added element by element, and so folded once. */
function joined(list: readonly Expression[]): readonly Term[] {
  const terms = list.map(termOf);
  const alike = new Map<string, Term[]>();
  for (const term of terms) {
    const key = `${term.space}/${term.counted?.id}`;
    const others = alike.get(key);
    if (others) others.push(term);
    else alike.set(key, [term]);
  }
  return [...alike.values()].every(({ length }) => length <= FEW_TERMS)
    ? terms
    : [...alike.values()].flatMap((same) =>
        same.length <= FEW_TERMS ? same : [{ ...(same[0] as Term), x: total(same.map(({ x }) => x)) }],
      );
}

/** The sum. Of many it is taken pair by pair: fewer roundings in a row, and no deeper than it has to be. */
function total(list: readonly Expression[]): Expression {
  if (list.length <= FEW_TERMS) return list.reduce((a, b) => add(a, b), ZERO);
  const half = list.length >> 1;
  return add(total(list.slice(0, half)), total(list.slice(half)));
}

/** Reductions as folds, and products of entries that mulNoNan. One function for several expressions: what they share is spelt out once. */
export const spellingOut = (): ((x: Expression) => Expression) =>
  rewriter((x) => {
    if (x.op === "mul" && isPerEntry(x.space)) return mulNoNan(...x.operands);
    if (WHOLE_ROW_OPS.includes(x.op)) return withOperands(x, x.operands.map(rowOf));
    if (x.op !== "reduce") return x;
    return reduction(x.operands[0], x.attribute.reduction, x.space, x.attribute.unbiased);
  });

/** Results of a loss by their names in its program. */
export const LOSS = "loss";
export const LOGPROBS = "logprobs";
export const metricName = (key: string): string => `metric ${key}`;
export const outputName = (key: string): string => `output ${key}`;

/** The program of a loss. `dtype`: that of the logits, null where the caller brings the policy's logprobs. */
export function lossProgram(definition: LossDefinition, traced: Traced, dtype: LogitsDtype | null): Program {
  const spellOut = spellingOut();
  const checks: Placed[] = [];
  const seeds: Seed[] = [];
  const values: Expression[] = [];
  for (const { space, counted, x } of joined(traced.terms.map(spellOut))) {
    if (space === "batch" || !counted) {
      seeds.push({ x, adjoint: ONE });
      values.push(counted ? where(counted, x, 0) : x);
      continue;
    }
    const summand = where(counted, space === "token" ? mul(weights, x) : x, 0);
    const total = fold("sum", summand, space, "batch");
    checks.push({ space, x: summand });
    seeds.push({ x: total, adjoint: ONE });
    values.push(total);
  }
  const results: Result[] = [{ name: LOSS, space: "batch", x: total(values), always: true }];
  if (dtype) results.push({ name: LOGPROBS, space: "token", x: targetLogprob(logits), always: true });
  for (const [key, x] of traced.metrics) results.push({ name: metricName(key), space: "batch", x: spellOut(x), always: false });
  for (const [key, x] of traced.outputs) {
    const space = x.space as ElementSpace;
    const ofRow = dtype !== null && space === "token";
    results.push({ name: outputName(key), space, x: spellOut(x), always: false, ...(ofRow && { zeroIfUnread: true }) });
  }
  return {
    name: definition.name,
    inputs: inputsOf(definition, dtype),
    rows: dtype && { leaf: logits, index: TARGET, mask: weights, isPresent },
    differentiable: [dtype ? logits : policyLogprobs],
    seeds,
    results,
    checks,
    rowGradient: null,
    splitGradient: null,
  };
}

/** The gradient of a loss, with the space in whose elements it is wanted: per entry of logits, or per token of the policy's logprobs. */
export function gradientOf(program: Program): { readonly space: Space; readonly x: Expression } {
  return program.rows ? { space: "vocab", x: program.rowGradient ?? ZERO } : resultOf(program, gradientName(policyLogprobs));
}

/** Results by the keys of a loss's author. */
export function authoredResults(program: Program, name: typeof metricName | typeof outputName): ReadonlyMap<string, Result> {
  const prefix = name("");
  return new Map(
    program.results.flatMap((result) =>
      result.name.startsWith(prefix) ? [[result.name.slice(prefix.length), result] as const] : [],
    ),
  );
}

/** The program with other outputs than its author's. */
export function withOutputs(program: Program, outputs: ReadonlyMap<string, Placed>): Program {
  const asked = [...outputs].map(([key, { space, x }]) => ({ name: outputName(key), space, x, always: false }));
  return { ...program, results: [...program.results.filter(({ name }) => !name.startsWith(outputName(""))), ...asked] };
}

/** The inputs of a loss: those that its author declares, and those that every loss has. */
function inputsOf({ inputs }: LossDefinition, dtype: LogitsDtype | null): Record<string, InputType> {
  return {
    [weights.attribute.name]: { space: "token", dtype: "f32", default: 1 },
    ...inputs,
    ...(dtype
      ? { [logits.attribute.name]: { space: "vocab", dtype }, [TARGET]: { space: "token", dtype: "i32" } }
      : { [policyLogprobs.attribute.name]: { space: "token", dtype: "f32" } }),
  };
}
