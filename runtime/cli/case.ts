/** A case as `lossc eval` reads it: JSON, and words in it for the numbers that JSON cannot hold. */
import { LosscError } from "../../dsl/errors.js";
import { nearest } from "../../dsl/nearest.js";
import { usage } from "./usage.js";

/** The inputs of `forwardBackward`, unchecked: it checks lengths, targets and elements itself, before it converts anything. */
export type EvalCase = Readonly<Record<string, unknown>>;

const KEYS = [
  "lengths",
  "groups",
  "vocab",
  "logits",
  "target_tokens",
  "policy_logprobs",
  "hidden_size",
  "hidden",
  "head",
  "inputs",
];

const WORDS: ReadonlyMap<unknown, number> = new Map([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
]);

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads one case. Its arrays are the ones of the JSON, with the words replaced in place. */
export function readCase(value: unknown): EvalCase {
  if (!isRecord(value))
    throw usage(`a case is an object with lengths, vocab, logits, target_tokens and inputs; this is ${kindOf(value)}`);
  for (const key of Object.keys(value)) {
    if (!KEYS.includes(key))
      throw usage(
        `a case has no key ${JSON.stringify(key)}${nearest(key, KEYS) || `; its keys are ${KEYS.join(", ")}`}; what the loss takes, and weights, stand in inputs`,
      );
  }
  const { inputs = {}, ...own } = value;
  if (!isRecord(inputs)) throw usage(`inputs is an object with the data of each input of the loss; this is ${kindOf(inputs)}`);
  for (const name of Object.keys(inputs)) {
    if (KEYS.includes(name)) throw new LosscError("INPUT_UNKNOWN", `"${name}" belongs beside inputs, not among them`);
  }
  return Object.fromEntries(Object.entries({ ...inputs, ...own }).map(([name, data]) => [name, withNumbers(data)]));
}

function withNumbers(data: unknown): unknown {
  if (!Array.isArray(data)) return WORDS.get(data) ?? data;
  for (let i = 0; i < data.length; i++) {
    if (typeof data[i] === "string") data[i] = WORDS.get(data[i]) ?? data[i];
  }
  return data;
}

function kindOf(value: unknown): string {
  return Array.isArray(value) ? "an array" : value === undefined ? "missing" : (JSON.stringify(value) as string).slice(0, 40);
}
