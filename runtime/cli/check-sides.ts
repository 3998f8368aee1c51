/**
 * Kinks, for `lossc check`: comparisons of two numbers so near to each other that float32 may have them the other way round. Which side such a
 * comparison takes becomes an input of the program, a number per element: below, equal or above.
 */
import { authoredResults, outputName, withOutputs } from "../../codegen/loss-program.js";
import type { Program } from "../../codegen/program.js";
import { constantValue, type Expression } from "../../dsl/expression.js";
import { operandsFirst, rewriter } from "../../dsl/graph.js";
import { abs, add, eq, floor, ge, gt, input, le, lt, mul, ne, sub, where, ZERO } from "../../dsl/ops/index.js";
import type { Op } from "../../dsl/ops/names.js";
import { type ElementSpace, isPerEntry } from "../../dsl/spaces.js";
import { evaluateReference, type ReferenceInput, type ReferenceResult } from "../reference.js";
import { generator } from "./check-inputs.js";

/** How far float32 may have moved a logprob, or one of two numbers that meet. */
export const NEAR = 4e-6;

/** Draws of all sides. One draw misses a side that matters in at most two of three cases. */
const DRAWS = 12;

/** The least difference that makes two values different, as a part of the greatest of their kind. */
const MATTERS = 1e-7;

/** A program whose near comparisons take the sides that its inputs say. */
export interface SidedProgram {
  readonly program: Program;
  /** The inputs that say it: −1 for below, 0 for equal, 1 for above. */
  readonly sides: readonly { readonly name: string; readonly space: ElementSpace }[];
}

const isOfPolicy = operandsFirst((x): boolean => (x.op === "input" && x.attribute.differentiable) || x.operands.some(isOfPolicy));

/** Ops that make whole numbers of whole numbers, and no rounding. */
const WHOLE: readonly Op[] = ["add", "sub", "mul", "neg", "abs", "min", "max", "where", "fold", "placeInGroup"];
const isWhole = operandsFirst(
  (x): boolean =>
    x.dtype === "bool" ||
    Number.isInteger(constantValue(x)) ||
    (WHOLE.includes(x.op) && x.operands.every((operand) => isWhole(operand))),
);

/** Whether a number is the same on every device: it was given as it is, or counts something. */
const isExact = (x: Expression): boolean => x.op === "input" || x.op === "config" || x.op === "constant" || isWhole(x);

/** Whether float32 may have made of the one number the other. */
function close(x: Expression, y: Expression): Expression {
  // Differences of logprobs are as inexact as those are, however small they come out.
  const least = isOfPolicy(x) || isOfPolicy(y) ? 1 : 0;
  return le(abs(sub(x, y)), mul(NEAR, add(least, add(abs(x), abs(y)))));
}

const COMPARED: Readonly<Record<string, (side: Expression, zero: Expression) => Expression>> = { eq, ne, lt, le, gt, ge };

/** The program with a gradient and outputs that take the sides of near comparisons from inputs. */
export function sided(program: Program): SidedProgram {
  const names = new Map<string, { readonly name: string; readonly space: ElementSpace }>();
  /** The side on which x is of y. Two comparisons of the same numbers never contradict each other. */
  const sideOf = (x: Expression, y: Expression, space: ElementSpace): Expression => {
    const [a, b] = x.id < y.id ? [x, y] : [y, x];
    const key = `${a.id},${b.id},${space}`;
    const known = names.get(key) ?? { name: `side ${names.size}`, space };
    names.set(key, known);
    const side = input(known.name, space);
    return a === x ? side : sub(ZERO, side);
  };
  const change = rewriter((node) => {
    const [x, y = ZERO] = node.operands;
    const { op } = node;
    const space = node.space as ElementSpace;
    if (x === undefined || [node, x, y].some((one) => isPerEntry(one.space))) return node;
    if (x === y || (isExact(x) && isExact(y))) return node;
    const compared = COMPARED[op];
    if (compared !== undefined) return where(close(x, y), compared(sideOf(x, y, space), ZERO), node);
    if (op === "sign") return where(close(x, ZERO), sideOf(x, ZERO, space), node);
    if (op !== "floor") return node;
    const whole = floor(add(x, 0.5));
    return where(close(x, whole), sub(whole, where(lt(sideOf(x, whole, space), ZERO), 1, 0)), node);
  });
  const outputs = [...authoredResults(program, outputName)].map(([key, { space, x }]) => [key, { space, x: change(x) }] as const);
  const rowGradient = program.rowGradient && change(program.rowGradient);
  return { program: withOutputs({ ...program, rowGradient }, new Map(outputs)), sides: [...names.values()] };
}

/** Evaluates the program with each side from `choose`. */
export function evaluateSided(
  { program, sides }: SidedProgram,
  given: ReferenceInput,
  choose: () => -1 | 0 | 1,
): ReferenceResult {
  const { lengths, groups } = given;
  const counts: Readonly<Record<ElementSpace, number>> = {
    token: lengths.reduce((sum, length) => sum + length, 0),
    sequence: lengths.length,
    group: groups?.length ?? 0,
    entry: given.vocab,
    batch: 1,
  };
  const chosen = sides.map(({ name, space }) => [name, Float64Array.from({ length: counts[space] }, choose)] as const);
  return evaluateReference(program, { ...given, inputs: { ...given.inputs, ...Object.fromEntries(chosen) } });
}

/** Which values depend on a side that a near comparison takes: entries of the gradient, and whether the loss does. */
export interface Undecided {
  readonly gradient: ReadonlySet<number>;
  readonly loss: boolean;
}

/** Draws the sides several times: a value that comes out different depends on them. */
export function undecidedOf(program: SidedProgram, given: ReferenceInput, wanted: ReferenceResult): Undecided {
  const gradient = new Set<number>();
  let loss = false;
  if (program.sides.length === 0) return { gradient, loss };
  const { uniform } = generator(0x51de5);
  const draw = () => (Math.floor(uniform() * 3) - 1) as -1 | 0 | 1;
  const slackOf = (values: Float64Array) =>
    MATTERS * values.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 1e-3);
  const slack = slackOf(wanted.gradient);
  for (let i = 0; i < DRAWS; i++) {
    const drawn = evaluateSided(program, given, draw);
    drawn.gradient.forEach((value, at) => {
      if (differs(value, wanted.gradient[at] as number, slack)) gradient.add(at);
    });
    loss ||= Object.entries(drawn.outputs).some(([key, values]) => {
      const right = wanted.outputs[key] as Float64Array;
      const tolerated = slackOf(right);
      return values.some((value, at) => differs(value, right[at] as number, tolerated));
    });
  }
  return { gradient, loss };
}

function differs(value: number, wanted: number, slack: number): boolean {
  return !Object.is(value, wanted) && !(Math.abs(value - wanted) <= slack);
}
