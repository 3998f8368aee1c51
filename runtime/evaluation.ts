/** Float64 evaluation of programs: values of nodes, each an array over the elements of its space. The table of ops says what each op gives. */
import type { Expression } from "../dsl/expression.js";
import {
  type AnyRow,
  FOLDS,
  type Fold,
  type Input,
  isLeaf,
  isRowOp,
  type Leaf,
  opRow,
  ROW_OPS,
  type RowExpression,
} from "../dsl/ops/index.js";
import { isPerEntry, levelOf, type Space } from "../dsl/spaces.js";

/** The numbers that a program is evaluated on. */
export interface Data {
  /** Tokens of each sequence. */
  readonly lengths: readonly number[];
  /** Sequences of each group. */
  readonly groups: readonly number[] | null;
  /** Entries of a row; 0 where there are no rows. */
  readonly vocab: number;
  /** The numbers of an input, row-major; undefined where its default holds. */
  readonly input: (name: string) => ArrayLike<number> | null | undefined;
  /** Runtime scalars, complete. */
  readonly config: Readonly<Record<string, number>>;
  /** Tokens whose rows are not read. */
  readonly isSkipped: (token: number) => boolean;
}

export class Evaluation {
  private readonly values = new Map<Expression, Float64Array>();
  private readonly counts: Record<Space, number>;
  private readonly parents = new Map<string, Int32Array>();

  constructor(private readonly data: Data) {
    const { lengths, groups, vocab } = data;
    const token = lengths.reduce((a, b) => a + b, 0);
    const [sequence, group] = [lengths.length, groups?.length ?? 0];
    const elements = { token, sequence, group, batch: 1 };
    const entries = { "sequence × vocab": sequence * vocab, "group × vocab": group * vocab, entry: vocab };
    this.counts = { vocab: token * vocab, ...elements, ...entries };
  }

  knows(x: Expression): boolean {
    return this.values.has(x);
  }

  value(x: Expression): Float64Array {
    return this.values.get(x) as Float64Array;
  }

  /** The value with one number per element of a space at least as fine. */
  spread(x: Expression, to: Space): Float64Array {
    const values = this.value(x);
    if (x.space === to) return values.slice();
    const parent = this.parent(to, x.space);
    const result = new Float64Array(parent.length);
    for (let i = 0; i < result.length; i++) result[i] = values[parent[i] as number] as number;
    return result;
  }

  evaluate(x: Expression): void {
    this.values.set(x, this.compute(x));
  }

  /** For each element of a space, the element of a coarser space that holds it. */
  private parent(from: Space, to: Space): Int32Array {
    const key = `${from}/${to}`;
    const known = this.parents.get(key);
    if (known) return known;
    const result = new Int32Array(this.counts[from]);
    if (isPerEntry(from)) {
      const { vocab } = this.data;
      const levels = [levelOf(from), levelOf(to)] as const;
      const up = levels[0] === levels[1] ? null : this.parent(...levels);
      for (let i = 0; i < result.length; i++) {
        const element = Math.floor(i / vocab);
        const parent = up ? (up[element] as number) : element;
        result[i] = isPerEntry(to) ? parent * vocab + (i % vocab) : parent;
      }
    } else if (to !== "batch") {
      const [middle, runs]: [Space, readonly number[]] =
        from === "token" ? ["sequence", this.data.lengths] : ["group", this.data.groups ?? []];
      const up = middle === to ? null : this.parent(middle, to);
      let i = 0;
      runs.forEach((run, segment) => {
        result.fill(up ? (up[segment] as number) : segment, i, i + run);
        i += run;
      });
    }
    this.parents.set(key, result);
    return result;
  }

  private compute(x: Expression): Float64Array {
    const row = opRow(x.op);
    if (row) {
      const operands = x.operands.map((operand) =>
        operand.space === x.space ? this.value(operand) : this.spread(operand, x.space),
      );
      return elementwise(row.evaluate, operands, this.counts[x.space]);
    }
    if (isRowOp(x)) return this.ofRow(x);
    if (isLeaf(x)) return this.ofLeaf(x);
    if (x.op === "fold") return this.fold(x);
    throw new Error(`reference knows no ${x.op}`);
  }

  private ofLeaf(x: Leaf): Float64Array {
    switch (x.op) {
      case "constant":
        return Float64Array.of(x.attribute.value);
      case "config":
        return Float64Array.of(this.data.config[x.attribute.name] as number);
      case "input":
        return this.given(x);
      case "isAt":
        return this.indicator(x.attribute.index);
      case "index":
        return Float64Array.from({ length: this.data.vocab }, (_, i) => i);
      case "placeInGroup":
        return this.placesInGroups();
    }
  }

  private given({ attribute: { name, default: otherwise }, space }: Input): Float64Array {
    const given = this.data.input(name);
    if (given instanceof Float64Array) return given;
    return given ? Float64Array.from(given) : new Float64Array(this.counts[space]).fill(otherwise ?? 0);
  }

  /** 1 at the entry of each row that the input names. */
  private indicator(index: string): Float64Array {
    const result = new Float64Array(this.counts.vocab);
    const named = this.data.input(index) ?? [];
    for (let t = 0; t < named.length; t++) result[t * this.data.vocab + (named[t] as number)] = 1;
    return result;
  }

  private placesInGroups(): Float64Array {
    return Float64Array.from((this.data.groups ?? []).flatMap((size) => Array.from({ length: size }, (_, i) => i)));
  }

  private fold(x: Fold): Float64Array {
    const { from, kind } = x.attribute;
    const [operand] = x.operands;
    const values = operand.space === from ? this.value(operand) : this.spread(operand, from);
    const parent = this.parent(from, x.space);
    const { start, merge } = FOLDS[kind];
    const empty = new Set(Array.from({ length: this.counts[x.space] }, (_, i) => i));
    const result = new Float64Array(this.counts[x.space]).fill(start);
    values.forEach((v, i) => {
      const segment = parent[i] as number;
      empty.delete(segment);
      result[segment] = merge(result[segment] as number, v);
    });
    for (const segment of empty) result[segment] = 0; // nothing was folded
    return result;
  }

  private ofRow(x: RowExpression): Float64Array {
    const { vocab, input, isSkipped } = this.data;
    const rows = this.spread(x.operands[0], "vocab");
    const named = "index" in x.attribute ? input(x.attribute.index) : null;
    const result = new Float64Array(this.counts[x.space]);
    for (let t = 0; t < this.counts.token; t++) {
      if (isSkipped(t)) continue;
      const value = ROW_OPS[x.op].evaluate(rows.subarray(t * vocab, (t + 1) * vocab), named?.[t] ?? 0);
      if (typeof value === "number") result[t] = value;
      else result.set(value, t * vocab);
    }
    return result;
  }
}

/**
 * Applies an op to each element. One loop per number of operands: to gather them in a list for each of millions of entries costs more than the op.
 */
function elementwise(evaluate: AnyRow["evaluate"], operands: readonly Float64Array[], count: number): Float64Array {
  const result = new Float64Array(count);
  const [a, b, c] = operands as [Float64Array, Float64Array?, Float64Array?];
  if (c && b) for (let i = 0; i < count; i++) result[i] = evaluate(a[i] as number, b[i] as number, c[i] as number);
  else if (b) for (let i = 0; i < count; i++) result[i] = evaluate(a[i] as number, b[i] as number);
  else for (let i = 0; i < count; i++) result[i] = evaluate(a[i] as number);
  return result;
}
