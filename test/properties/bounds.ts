/**
 * The allowed answers of a device: the value of every node in float64 and how far float32 arithmetic may lie from it. Errors are carried from
 * operands to results by trying the corners of what the operands may be, so that a sum of large numbers that cancel is allowed what it loses, a
 * decision between two indistinguishable numbers is allowed both outcomes, and arithmetic on whole quarters is allowed no error at all.
 */
import { gradientOf } from "../../codegen/loss-program.js";
import { neededOf, type Program } from "../../codegen/program.js";
import type { Expression } from "../../dsl/expression.js";
import { topological } from "../../dsl/graph.js";
import { type Fold, opRow } from "../../dsl/ops/index.js";
import type { Space } from "../../dsl/spaces.js";
import type { ReferenceInput } from "../../runtime/reference.js";

export interface Bounded {
  readonly value: Float64Array;
  /** Infinity where anything may come out; 0 where the value must be met. */
  readonly error: Float64Array;
}

export interface Arithmetic {
  /** Half a unit in the last place, relative. */
  readonly unit: number;
  /** The value as the format holds it. */
  readonly round: (x: number) => number;
  readonly largest: number;
  /** Below this, functions of the row may answer 0. */
  readonly least: number;
}
export const FLOAT32: Arithmetic = { unit: 2 ** -24, round: Math.fround, largest: 3.4028235e38, least: 1.2e-38 };
/** float64 holds quarters and other short numbers exactly, and of the rest nothing is assumed. */
export const FLOAT64: Arithmetic = {
  unit: 2 ** -52,
  round: (x) => (Number.isInteger(x * 2 ** 20) && Math.abs(x) < 2 ** 20 ? x : x * (1 + 2 ** -51)),
  largest: Number.MAX_VALUE,
  least: 1e-300,
};

/** Rounded once and correctly; the other functions are good to some units in the last place. */
const EXACT = new Set(
  "mulAdjoint mulNoNan add sub mul div neg sqrt square min max clamp abs sign floor where stopGradient".split(" "),
);
const UNITS = 8;

const DECISIONS = new Set(["eq", "ne", "lt", "le", "gt", "ge"]);

export class Bounds {
  private readonly known = new Map<Expression, Bounded>();
  private readonly counts: Record<Space, number>;

  constructor(
    private readonly input: ReferenceInput,
    private readonly arithmetic: Arithmetic,
  ) {
    const { lengths, groups, vocab } = input;
    const token = lengths.reduce((a, b) => a + b, 0);
    const [sequence, group] = [lengths.length, groups?.length ?? 0];
    const entries = { vocab: token * vocab, "sequence × vocab": sequence * vocab, "group × vocab": group * vocab, entry: vocab };
    this.counts = { token, sequence, group, batch: 1, ...entries };
  }

  /** Works out everything that a lowered program needs. */
  visit(program: Program): void {
    for (const x of topological([...neededOf(program), gradientOf(program).x])) this.known.set(x, this.compute(x));
  }

  /** One entry per element of a space at least as fine as that of x. */
  in(x: Expression, space: Space): Bounded {
    const own = this.known.get(x) as Bounded;
    if (x.space === space) return own;
    const n = this.counts[space];
    const spread = (values: Float64Array) =>
      Float64Array.from({ length: n }, (_, i) => values[this.up(i, space, x.space)] as number);
    return { value: spread(own.value), error: spread(own.error) };
  }

  private up(i: number, from: Space, to: Space): number {
    if (from === to) return i;
    if (to === "batch") return 0;
    if (from === "vocab") return this.up(Math.floor(i / this.input.vocab), "token", to);
    const runs = from === "token" ? this.input.lengths : (this.input.groups as readonly number[]);
    let rest = i;
    let segment = 0;
    while (rest >= (runs[segment] as number)) rest -= runs[segment++] as number;
    return this.up(segment, from === "token" ? "sequence" : "group", to);
  }

  private compute(x: Expression): Bounded {
    const n = this.counts[x.space];
    const row = opRow(x.op);
    if (row) {
      const operands = x.operands.map((operand) => this.in(operand, x.space));
      const decided = DECISIONS.has(x.op) ? this.settled(x) : null;
      const value = new Float64Array(n);
      const error = new Float64Array(n);
      for (let i = 0; i < n; i++) {
        [value[i], error[i]] =
          decided?.[i] ??
          this.element(
            x.op,
            row.evaluate,
            operands.map((o) => [o.value[i] as number, o.error[i] as number]),
            x.space,
          );
      }
      return { value, error };
    }
    const exact = (value: Float64Array): Bounded => ({
      value,
      error: value.map((v) => (Number.isFinite(v) ? Math.abs(v - this.arithmetic.round(v)) : 0)),
    });
    const { input } = this;
    switch (x.op) {
      case "constant":
        return exact(Float64Array.of(x.attribute.value));
      case "config":
        return exact(Float64Array.of(input.config[x.attribute.name] as number));
      case "input":
        return exact(this.given(x) ?? new Float64Array(n).fill(x.attribute.default ?? 0));
      case "isAt":
        return exact(
          Float64Array.from({ length: n }, (_, i) =>
            Number(input.targetTokens?.[Math.floor(i / input.vocab)] === i % input.vocab),
          ),
        );
      case "placeInGroup":
        return exact(Float64Array.from((input.groups ?? []).flatMap((size) => Array.from({ length: size }, (_, i) => i))));
      case "at": {
        const { value } = this.in(x.operands[0], "vocab");
        const entry = (t: number) => value[t * input.vocab + (input.targetTokens?.[t] as number)] as number;
        return exact(Float64Array.from({ length: n }, (_, t) => (this.skips(t) ? 0 : entry(t))));
      }
      case "fold":
        return this.fold(x);
      default:
        throw new Error(`bounds know no ${x.op}`);
    }
  }

  private given({ attribute: { name } }: Extract<Expression, { readonly op: "input" }>): Float64Array | null | undefined {
    const { logits, policyLogprobs, inputs } = this.input;
    return name === "logits" ? logits : name === "policy_logprobs" ? policyLogprobs : inputs[name];
  }

  private skips(token: number): boolean {
    return this.input.skipMasked && this.input.inputs.weights?.[token] === 0;
  }

  private element(
    op: string,
    f: (...v: number[]) => number,
    operands: (readonly [value: number, error: number])[],
    space: Space,
  ): readonly [number, number] {
    const { unit, round, largest, least } = this.arithmetic;
    const centre = f(...operands.map(([v]) => v));
    // A branch that is not taken, and a derivative whose adjoint is 0, may be anything.
    const [first] = operands as [readonly [number, number]];
    const used = op === "where" && first[1] === 0 ? [operands[first[0] ? 1 : 2] as readonly [number, number]] : operands;
    if (op === "mulAdjoint" && first[0] === 0 && first[1] === 0) return [centre, 0];
    if (op === "mulNoNan" && operands.some(([v, e]) => v === 0 && e === 0)) return [centre, 0];
    if (used.some(([, e]) => e === Number.POSITIVE_INFINITY)) return [centre, Number.POSITIVE_INFINITY];
    if (used !== operands) return [centre, (used[0] as readonly [number, number])[1]];
    let spread = 0;
    let size = Math.abs(centre);
    if (operands.some(([, e]) => e > 0)) {
      const divisor = op === "div" ? operands[1] : op === "pow" ? operands[0] : undefined;
      if (divisor && divisor[1] > 0 && Math.abs(divisor[0]) <= divisor[1]) return [centre, Number.POSITIVE_INFINITY];
      for (const corner of corners(operands)) {
        const v = f(...corner);
        if (Object.is(v, centre) || v === centre) continue;
        if (!Number.isFinite(v) || !Number.isFinite(centre)) return [centre, Number.POSITIVE_INFINITY];
        spread = Math.max(spread, Math.abs(v - centre));
        size = Math.max(size, Math.abs(v));
      }
    }
    if (!Number.isFinite(centre)) return [centre, 0];
    const exact = EXACT.has(op) && spread === 0;
    // For short operands the result is the exact one, rounded. Others may differ by some units.
    const rounding = exact
      ? Math.abs(centre - round(centre))
      : (EXACT.has(op) ? 1 : UNITS) * unit * size + (size > 0 && size < 1e-30 ? 1.5e-45 : 0);
    const fast = space === "vocab" && op === "exp" ? least : 0;
    const error = spread + rounding + fast;
    return size + error > largest ? [centre, Number.POSITIVE_INFINITY] : [centre, error];
  }

  /** Comparisons: which of them are certain. */
  private settled(x: Expression): readonly (readonly [number, number] | null)[] {
    const [a, b] = x.operands as [Expression, Expression];
    const evaluate = opRow(x.op)?.evaluate as (a: number, b: number) => number;
    const [p, q] = [this.in(a, x.space), this.in(b, x.space)];
    const greatest =
      b.op === "fold" && b.attribute.kind !== "sum" && b.operands[0] === a && b.attribute.from === x.space ? b : null;
    return Array.from(p.value, (v, i) => {
      const [w, e] = [q.value[i] as number, (p.error[i] as number) + (q.error[i] as number)];
      // The same node is the same number on every device.
      if (a === b) return [evaluate(v, v), 0];
      if (e === 0) return [evaluate(v, w), 0];
      if (greatest && x.op === "eq") {
        const alone = this.alone(a, greatest, i);
        if (alone !== null) return [Number(alone), 0];
      }
      if (!Number.isFinite(v) && p.error[i] === 0) return Number.isFinite(e) ? [evaluate(v, w), 0] : [evaluate(v, w), 1];
      return Math.abs(v - w) > e * 2 ? [evaluate(v, w), 0] : [evaluate(v, w), 1];
    });
  }

  /** Whether element i is surely the only greatest (or least) of its segment, surely not the greatest, or (null) neither. */
  private alone(x: Expression, fold: Fold, i: number): boolean | null {
    const { value, error } = this.in(x, x.space);
    const sign = fold.attribute.kind === "max" ? 1 : -1;
    const segment = this.up(i, x.space, fold.space);
    const [v, e] = [sign * (value[i] as number), error[i] as number];
    let certain = true;
    for (let j = 0; j < value.length; j++) {
      if (j === i || this.up(j, x.space, fold.space) !== segment) continue;
      const [w, f] = [sign * (value[j] as number), error[j] as number];
      if (w - f > v + e) return false;
      if (!(w + f < v - e)) certain = false;
    }
    return certain ? true : null;
  }

  private fold(x: Fold): Bounded {
    const { from, kind } = x.attribute;
    const { value, error } = this.in(x.operands[0], from);
    const n = this.counts[x.space];
    const segments: number[][] = Array.from({ length: n }, () => []);
    for (let i = 0; i < value.length; i++) segments[this.up(i, from, x.space)]?.push(i);
    const result = { value: new Float64Array(n), error: new Float64Array(n) };
    segments.forEach((members, s) => {
      if (from === "vocab" && this.skips(s)) {
        result.value[s] = kind === "sum" ? 1 : 0;
        return;
      }
      if (members.length === 0) return;
      const values = members.map((i) => value[i] as number);
      const errors = members.map((i) => error[i] as number);
      const total = errors.reduce((a, b) => a + b, 0);
      if (kind !== "sum") {
        const pick = kind === "max" ? Math.max : Math.min;
        const extreme = pick(...values);
        const [low, high] = [
          pick(...values.map((v, i) => v - (errors[i] as number))),
          pick(...values.map((v, i) => v + (errors[i] as number))),
        ];
        result.value[s] = extreme;
        result.error[s] =
          total === 0 || (!Number.isFinite(extreme) && Number.isFinite(total) && low === high)
            ? 0
            : Math.max(high - extreme, extreme - low);
        if (Number.isNaN(result.error[s])) result.error[s] = Number.POSITIVE_INFINITY;
        return;
      }
      const sum = values.reduce((a, b) => a + b, 0);
      const size = values.reduce((a, b) => a + Math.abs(b), 0);
      const { unit, round, largest } = this.arithmetic;
      result.value[s] = sum;
      if (!Number.isFinite(sum)) {
        result.error[s] = Number.isFinite(total) ? 0 : Number.POSITIVE_INFINITY;
        return;
      }
      // Rows are summed in float32, a few terms to each accumulator; everything else in float64, and rounded when it is read.
      const depth = from === "vocab" ? Math.min(members.length, 34 + members.length / 64) : 1;
      const inexact = total > 0 || sum !== round(sum) || (from === "vocab" && size !== Math.abs(sum) && size !== round(size));
      result.error[s] =
        size + total > largest ? Number.POSITIVE_INFINITY : total + (inexact || depth > 1 ? depth * unit * size : 0);
    });
    return result;
  }
}

/** Every combination of what the operands may be at most and at least. */
function* corners(operands: readonly (readonly [number, number])[]): Generator<number[]> {
  if (operands.length === 0) {
    yield [];
    return;
  }
  const [[v, e], ...rest] = operands as [readonly [number, number], ...(readonly [number, number])[]];
  for (const others of corners(rest)) {
    yield [v, ...others];
    if (e > 0)
      yield* [
        [v - e, ...others],
        [v + e, ...others],
      ];
  }
}
