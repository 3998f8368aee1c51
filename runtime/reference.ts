/**
 * The `reference` device: float64 evaluation of a loss's program as the gradient pass left it, before lowering and simplification. It needs neither
 * addon nor compiler, and is the oracle of every test.
 */
import { authoredResults, gradientOf, LOGPROBS, LOSS, metricName, outputName } from "../codegen/loss-program.js";
import { neededOf, type Program, type Result, resultOf } from "../codegen/program.js";
import type { Expression } from "../dsl/expression.js";
import { topological } from "../dsl/graph.js";
import { levelOf } from "../dsl/spaces.js";
import { Evaluation } from "./evaluation.js";

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
export function evaluateReference(program: Program, input: ReferenceInput): ReferenceResult {
  const { logits, targetTokens, policyLogprobs, inputs, skipMasked } = input;
  const given: Readonly<Record<string, ArrayLike<number> | null>> = {
    ...inputs,
    logits,
    target_tokens: targetTokens,
    policy_logprobs: policyLogprobs,
  };
  const isSkipped = (token: number) => skipMasked && inputs.weights?.[token] === 0;
  const evaluation = new Evaluation({ ...input, input: (name) => (Object.hasOwn(given, name) ? given[name] : null), isSkipped });
  for (const x of topological(neededOf(program))) evaluation.evaluate(x);
  const scalar = ({ x }: { readonly x: Expression }) => evaluation.value(x)[0] as number;
  const { x, space } = gradientOf(program);
  if (!evaluation.knows(x)) evaluation.evaluate(x);
  const gradient = evaluation.spread(x, space);
  // A logit of -inf is an entry that is not there.
  logits?.forEach((z, i) => {
    if (z === Number.NEGATIVE_INFINITY) gradient[i] = 0;
  });
  const loss = scalar(resultOf(program, LOSS));
  const mapped = <T>(name: typeof metricName | typeof outputName, f: (result: Result) => T) =>
    Object.fromEntries([...authoredResults(program, name)].map(([key, result]) => [key, f(result)]));
  return {
    loss,
    logprobs: program.rows && evaluation.spread(resultOf(program, LOGPROBS).x, "token"),
    gradient,
    metrics: mapped(metricName, scalar),
    outputs: mapped(outputName, ({ x, space, zeroIfUnread }) => {
      const values = evaluation.spread(x, space);
      return zeroIfUnread ? values.map((v, t) => (isSkipped(t) ? 0 : v)) : values;
    }),
    nonFinite: firstNonFinite(program, evaluation, gradient, loss, input.vocab),
  };
}

function firstNonFinite(
  program: Program,
  evaluation: Evaluation,
  gradient: Float64Array,
  loss: number,
  vocab: number,
): ReferenceResult["nonFinite"] {
  const bad = (values: Float64Array) => values.findIndex((v) => !Number.isFinite(v));
  const entry = bad(gradient);
  let token = entry < 0 ? Number.POSITIVE_INFINITY : program.rows ? Math.floor(entry / vocab) : entry;
  let coarser: ReferenceResult["nonFinite"] = null;
  for (const { space, x } of program.checks) {
    const element = bad(evaluation.spread(x, space));
    if (element < 0) continue;
    if (space === "token") token = Math.min(token, element);
    else coarser ??= { space: levelOf(space), element };
  }
  // A token says more than the sequence that it is in.
  if (token !== Number.POSITIVE_INFINITY) return { space: "token", element: token };
  return coarser ?? (Number.isFinite(loss) ? null : { space: "batch", element: 0 });
}
