/**
 * The `reference` device: float64 evaluation of the graph as the gradient pass left it, before lowering and simplification. It needs neither addon nor
 * compiler, and is the oracle of every test.
 */
import type { LossGraph } from "../codegen/expand.js";
import { neededOf } from "../codegen/expand.js";
import type { Expression } from "../dsl/expression.js";
import { topological } from "../dsl/graph.js";
import { opRow } from "../dsl/ops/index.js";
import type { OpRow } from "../dsl/ops/registry.js";
import type { Space } from "../dsl/spaces.js";

export interface ReferenceInput {
  /** Tokens of each sequence. */
  readonly lengths: readonly number[];
  /** Sequences of each group. */
  readonly groups: readonly number[] | null;
  /** Entries of a row; 0 from policy_logprobs. */
  readonly vocab: number;
  /** Token × vocabulary, row-major. */
  readonly logits: Float64Array | null;
  readonly targetTokens: Int32Array | null;
  readonly policyLogprobs: Float64Array | null;
  /** Inputs that were given, `weights` among them; the others take their default. */
  readonly inputs: Readonly<Record<string, Float64Array>>;
  /** Runtime scalars, complete. */
  readonly config: Readonly<Record<string, number>>;
  readonly skipMasked: boolean;
}

export interface ReferenceResult {
  readonly loss: number;
  readonly logprobs: Float64Array | null;
  /** Of the logits (token × vocabulary), or of policy_logprobs (per token). */
  readonly gradient: Float64Array;
  readonly metrics: Readonly<Record<string, number>>;
  readonly outputs: Readonly<Record<string, Float64Array>>;
  /** The first element with a non-finite loss or gradient. */
  readonly nonFinite: { readonly space: "token" | "sequence" | "group" | "batch"; readonly element: number } | null;
}

/** Evaluates a loss and its gradient. The input is taken as checked. */
export function evaluateReference(graph: LossGraph, input: ReferenceInput): ReferenceResult {
  const evaluation = new Evaluation(input);
  for (const x of topological(neededOf(graph))) evaluation.evaluate(x);
  const scalar = (x: Expression) => evaluation.value(x)[0] as number;
  const gradient = evaluation.spread(graph.gradient as Expression, graph.from === "logits" ? "vocab" : "token");
  // A logit of -inf is an entry that is not there.
  input.logits?.forEach((z, i) => {
    if (z === Number.NEGATIVE_INFINITY) gradient[i] = 0;
  });
  const loss = scalar(graph.loss);
  return {
    loss,
    logprobs: graph.from === "logits" ? evaluation.spread(graph.logprobs, "token") : null,
    gradient,
    metrics: Object.fromEntries([...graph.metrics].map(([key, x]) => [key, scalar(x)])),
    outputs: Object.fromEntries([...graph.outputs].map(([key, { space, x }]) => [key, evaluation.spread(x, space)])),
    nonFinite: firstNonFinite(graph, evaluation, gradient, loss, input.vocab),
  };
}

function firstNonFinite(
  graph: LossGraph,
  evaluation: Evaluation,
  gradient: Float64Array,
  loss: number,
  vocab: number,
): ReferenceResult["nonFinite"] {
  const bad = (values: Float64Array) => values.findIndex((v) => !Number.isFinite(v));
  const entry = bad(gradient);
  let token = entry < 0 ? Number.POSITIVE_INFINITY : graph.from === "logits" ? Math.floor(entry / vocab) : entry;
  let coarser: ReferenceResult["nonFinite"] = null;
  for (const { space, x } of graph.summands) {
    const element = bad(evaluation.spread(x, space));
    if (element < 0) continue;
    if (space === "token") token = Math.min(token, element);
    else coarser ??= { space: space as "sequence", element };
  }
  // A token says more than the sequence that it is in.
  if (token !== Number.POSITIVE_INFINITY) return { space: "token", element: token };
  return coarser ?? (Number.isFinite(loss) ? null : { space: "batch", element: 0 });
}

/** Values of nodes, each an array over the elements of its space. */
class Evaluation {
  private readonly values = new Map<Expression, Float64Array>();
  private readonly counts: Record<Space, number>;
  private readonly parents = new Map<string, Int32Array>();

  constructor(private readonly input: ReferenceInput) {
    const { lengths, groups, vocab } = input;
    const token = lengths.reduce((a, b) => a + b, 0);
    this.counts = { vocab: token * vocab, token, sequence: lengths.length, group: groups?.length ?? 0, batch: 1 };
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
    if (from === "vocab") {
      const up = to === "token" ? null : this.parent("token", to);
      for (let i = 0; i < result.length; i++) {
        const t = Math.floor(i / this.input.vocab);
        result[i] = up ? (up[t] as number) : t;
      }
    } else if (to !== "batch") {
      const [middle, runs]: [Space, readonly number[]] =
        from === "token" ? ["sequence", this.input.lengths] : ["group", this.input.groups ?? []];
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
    const { input } = this;
    switch (x.op) {
      case "constant":
        return Float64Array.of(x.attribute.value as number);
      case "config":
        return Float64Array.of(input.config[x.attribute.name as string] as number);
      case "input":
        return (
          input.inputs[x.attribute.name as string] ?? new Float64Array(this.counts[x.space]).fill(x.attribute.default as number)
        );
      case "policyLogprobs":
        return input.policyLogprobs as Float64Array;
      case "logits":
        return input.logits as Float64Array;
      case "isTarget":
        return this.targets();
      case "placeInGroup":
        return this.placesInGroups();
      case "fold":
        return this.fold(x);
      default:
        return this.ofRow(x);
    }
  }

  private targets(): Float64Array {
    const result = new Float64Array(this.counts.vocab);
    this.input.targetTokens?.forEach((target, t) => {
      result[t * this.input.vocab + target] = 1;
    });
    return result;
  }

  private placesInGroups(): Float64Array {
    return Float64Array.from((this.input.groups ?? []).flatMap((size) => Array.from({ length: size }, (_, i) => i)));
  }

  private fold(x: Expression): Float64Array {
    const from = x.attribute.from as Space;
    const operand = x.operands[0] as Expression;
    const values = operand.space === from ? this.value(operand) : this.spread(operand, from);
    const parent = this.parent(from, x.space);
    const kind = x.attribute.kind as "sum" | "max" | "min";
    const start = { sum: 0, max: Number.NEGATIVE_INFINITY, min: Number.POSITIVE_INFINITY }[kind];
    const merge = { sum: (a: number, b: number) => a + b, max: Math.max, min: Math.min }[kind];
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

  /** Values of one row: its target's logprob, its logsumexp, its softmax and the logarithm of that. */
  private ofRow(x: Expression): Float64Array {
    const { vocab, targetTokens, skipMasked, inputs } = this.input;
    const logits = this.value(x.operands[0] as Expression);
    const result = new Float64Array(this.counts[x.space]);
    for (let t = 0; t < this.counts.token; t++) {
      if (skipMasked && inputs.weights?.[t] === 0) continue;
      const row = logits.subarray(t * vocab, (t + 1) * vocab);
      const target = (targetTokens as Int32Array)[t] as number;
      let greatest = Number.NEGATIVE_INFINITY;
      for (const z of row) greatest = Math.max(greatest, z);
      let sum = 0;
      for (const z of row) sum += Math.exp(z - greatest);
      if (x.op === "targetLogprob") result[t] = (row[target] as number) - greatest - Math.log(sum);
      else if (x.op === "rowLogsumexp") result[t] = greatest + Math.log(sum);
      else if (x.op === "atTarget") result[t] = row[target] as number;
      else {
        const entry =
          x.op === "softmax" ? (z: number) => Math.exp(z - greatest) / sum : (z: number) => z - greatest - Math.log(sum);
        result.set(row.map(entry), t * vocab);
      }
    }
    return result;
  }
}

/** Applies an op to each element. One loop per number of operands: to gather them in a list for each of millions of entries costs more than the op. */
function elementwise(evaluate: OpRow["evaluate"], operands: readonly Float64Array[], count: number): Float64Array {
  const result = new Float64Array(count);
  const [a, b, c] = operands as [Float64Array, Float64Array?, Float64Array?];
  if (c && b) for (let i = 0; i < count; i++) result[i] = evaluate(a[i] as number, b[i] as number, c[i] as number);
  else if (b) for (let i = 0; i < count; i++) result[i] = evaluate(a[i] as number, b[i] as number);
  else for (let i = 0; i < count; i++) result[i] = evaluate(a[i] as number);
  return result;
}
