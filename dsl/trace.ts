/** Tracing: the loss is run once on expressions, and returns the graph. */
import { withoutChance } from "./chance.js";
import { strangerInWords } from "./copies.js";
import type { ConfigDeclaration, LossDefinition, Policy } from "./define-loss.js";
import { definedAt } from "./definitions.js";
import { LosscError } from "./errors.js";
import { describe, type Expr, type Expression, isExpression, toAuthor, toExpression } from "./expression.js";
import { neg } from "./functions.js";
import { topological } from "./graph.js";
import { nearest } from "./nearest.js";
import * as ops from "./ops/index.js";
import * as leaves from "./policy.js";
import { callerPosition, thrownPosition } from "./position.js";
import { sum } from "./reductions.js";
import { isPerEntry, type Space } from "./spaces.js";
import { thrownText } from "./thrown.js";

/** A traced loss: the expressions that its author's function returned, reductions as they were written. */
export interface Traced {
  readonly terms: readonly Expression[];
  readonly metrics: ReadonlyMap<string, Expression>;
  readonly outputs: ReadonlyMap<string, Expression>;
}

export interface TraceOptions {
  /** Where the policy's logprobs come from. */
  readonly from: "logits" | "policy_logprobs";
  /** Values of static config that differ from their defaults. */
  readonly statics: Readonly<Record<string, number | string | boolean>>;
  /** Names of the metrics that are wanted; undefined: those that the loss gives unasked. */
  readonly metrics?: readonly string[] | undefined;
  /** Inputs of vocab space that were not given: their default takes the place of rows. */
  readonly absent?: readonly string[];
}

/** Runs the loss on expressions. */
export function trace(definition: LossDefinition, options: TraceOptions): Traced {
  const config = Object.entries(definition.config).map(
    ([name, declared]) => [name, configValue(name, declared, options)] as const,
  );
  const policy = policyOf(definition, options.from) as unknown as Record<string, Expr>;
  const given = [
    refusing(policy, (key, known) => [
      "INPUT_UNKNOWN",
      `the policy gives no "${key}"${nearest(key, known) || `; it gives ${known.join(", ")}`}`,
    ]),
    refusing(inputsOf(definition, options), (key, known) => [
      "INPUT_UNKNOWN",
      `the loss "${definition.name}" reads the input "${key}", which it does not declare${(Object.hasOwn(INSTEAD, key) && INSTEAD[key]) || nearest(key, known) || `; declare it: inputs: { ${key}: "token" }, or its other space`}`,
    ]),
    refusing(Object.fromEntries(config), (key, known) => [
      "CONFIG_UNKNOWN",
      `the loss "${definition.name}" reads the config "${key}", which it does not declare${nearest(key, known) || `; declare it with its default: config: { ${key}: 1 }`}`,
    ]),
  ] as const;
  const returned = run(definition, () => definition.loss(...given));
  const traced = normalised(definition, returned, options.metrics);
  if (options.from === "policy_logprobs" && readsRows(traced))
    refuseWithoutRows(definition, 'entries of rows, index("vocab") say', definedAt(definition));
  return traced;
}

function inputsOf(definition: LossDefinition, { from, absent = [] }: TraceOptions): Record<string, unknown> {
  // Names are the author's: "__proto__" is one like any other.
  const inputs: Record<string, unknown> = Object.create(null);
  for (const [name, { space, default: otherwise }] of Object.entries(definition.inputs)) {
    if (!isPerEntry(space)) inputs[name] = ops.input(name, space, { default: otherwise });
    else if (from === "logits") inputs[name] = absent.includes(name) ? everywhere(otherwise ?? 0, space) : ops.input(name, space);
    else Object.defineProperty(inputs, name, { enumerable: true, get: () => refuseWithoutRows(definition, `inputs.${name}`) });
  }
  return inputs;
}

/** A number as every entry of a row. It does not come from the policy's row: an entry that is not there in that one is there in this. */
function everywhere(x: number, space: Space): Expression {
  const leaf = space === "entry" ? ops.indexOfEntry : ops.add(ops.indexOfEntry, leaves.weights);
  return ops.where(ops.eq(leaf, leaf), x, x);
}

function readsRows({ terms, metrics, outputs }: Traced): boolean {
  const reads = (x: Expression) => isPerEntry(x.space) || x.op === "at";
  return topological([...terms, ...metrics.values(), ...outputs.values()]).some(reads);
}

function refuseWithoutRows(definition: LossDefinition, what: string, position = callerPosition()): never {
  throw new LosscError(
    "INPUT_MISSING",
    `the loss "${definition.name}" reads ${what}, which policy_logprobs do not hold: give logits and target_tokens`,
    { position },
  );
}

/** Advice for names that a loss reads without having declared them. */
const INSTEAD: Readonly<Record<string, string>> = {
  weights:
    '; weights multiply every token loss already; a loss that reads them as well declares them: inputs: { weights: "token" }',
  target_tokens: "; policy.logprobs are those of the targets already, and atTarget(x) reads the target's entry of a row",
  logits: "; the rows are policy.logits",
};

/** Calls the author's function. An error that is not lossc's own gets the place where it was thrown. */
function run(definition: LossDefinition, call: () => unknown): unknown {
  try {
    return withoutChance(call);
  } catch (error) {
    if (error instanceof LosscError) throw error;
    throw new LosscError("UNSUPPORTED_SYNTAX", `the loss "${definition.name}" threw while it was traced: ${thrownText(error)}`, {
      cause: error,
      position: thrownPosition(error),
    });
  }
}

/** The record, but a key that it does not hold throws rather than being undefined. */
function refusing(
  record: Record<string, unknown>,
  refuse: (key: string, known: string[]) => readonly [code: "INPUT_UNKNOWN" | "CONFIG_UNKNOWN", message: string],
): never {
  return new Proxy(record, {
    get(target, key) {
      if (typeof key === "string" && !Object.hasOwn(target, key))
        throw new LosscError(...refuse(key, Object.keys(target)), { position: callerPosition() });
      return Reflect.get(target, key);
    },
  }) as never;
}

function configValue(name: string, declared: ConfigDeclaration, options: TraceOptions): unknown {
  if (declared.kind === "scalar") return ops.config(name);
  return Object.hasOwn(options.statics, name) ? options.statics[name] : declared.value;
}

function policyOf(definition: LossDefinition, from: TraceOptions["from"]): Policy {
  const { logits } = leaves;
  if (from === "logits") {
    return {
      logprobs: toAuthor(leaves.targetLogprob(logits)),
      logsumexp: toAuthor(ops.rowLogsumexp(logits)),
      logits: toAuthor(logits),
      entropy: neg(sum(toAuthor(ops.mul(ops.softmax(logits), ops.logSoftmax(logits))), "vocab")),
    };
  }
  return {
    logprobs: toAuthor(leaves.policyLogprobs),
    get logsumexp() {
      return refuseWithoutRows(definition, "policy.logsumexp");
    },
    get logits() {
      return refuseWithoutRows(definition, "policy.logits");
    },
    get entropy() {
      return refuseWithoutRows(definition, "policy.entropy");
    },
  };
}

/** Refuses a loss's returned value, with the place of its definition. */
type Refuse = (code: "UNSUPPORTED_SYNTAX" | "SPACE_MISMATCH" | "CONFIG_UNKNOWN" | "USAGE", message: string) => never;

function normalised(definition: LossDefinition, returned: unknown, wanted: readonly string[] | undefined): Traced {
  const { name } = definition;
  const refuse: Refuse = (code, message) => {
    throw new LosscError(code, message, { position: definedAt(definition) });
  };
  const stranger = strangerInWords(returned);
  if (stranger !== undefined) refuse("UNSUPPORTED_SYNTAX", `the loss "${name}" returned ${stranger}`);
  if (isRecord(returned) && typeof returned.then === "function") {
    // A rejection later on would end the process: nobody waits for this promise.
    returned.then(undefined, () => {});
    refuse(
      "UNSUPPORTED_SYNTAX",
      `the loss "${name}" is async: a loss is traced, and returns at once; wait for data outside of it and declare inputs`,
    );
  }
  const record = isRecord(returned) ? returned : { loss: returned };
  for (const key of Object.keys(record)) {
    if (["loss", "metrics", "outputs"].includes(key)) continue;
    const meant = nearest(key, ["loss", "metrics", "outputs"]) || "; it may return loss, metrics and outputs";
    refuse("UNSUPPORTED_SYNTAX", `the loss "${name}" returned "${key}"${meant}`);
  }
  // Array.from makes undefined of holes, which map would leave out.
  const terms = Array.isArray(record.loss)
    ? Array.from(record.loss as unknown[], (loss, i) => numeric(name, `loss[${i}]`, loss, refuse))
    : [numeric(name, "loss", record.loss, refuse)];
  for (const { space } of terms)
    if (isPerEntry(space) && space !== "vocab")
      refuse(
        "SPACE_MISMATCH",
        `the loss "${name}" lives in ${space} space, which says nothing of a token: write atTarget(x), or join it with policy.logits`,
      );
  const metrics = named(name, "metrics", chosen(definition, record.metrics ?? {}, wanted, refuse), refuse);
  const outputs = named(name, "outputs", record.outputs ?? {}, refuse);
  if (terms.length === 0)
    refuse("UNSUPPORTED_SYNTAX", `the loss "${name}" returned a list of no losses: return what is to be summed`);
  const taken = metrics.has("loss:sum") ? 'metric "loss:sum"' : outputs.has("logprobs") ? 'output "logprobs"' : null;
  if (taken) refuse("USAGE", `the loss "${name}" has the ${taken}, which comes back with every loss: give it another name`);
  for (const [key, x] of metrics) {
    if (x.space === "batch") continue;
    refuse(
      "SPACE_MISMATCH",
      `the metric "${key}" of the loss "${name}" lives in ${x.space} space; a metric is one scalar: write mean(x) or sum(x)`,
    );
  }
  for (const [key, x] of outputs) {
    if (x.space === "token" || x.space === "sequence") continue;
    const ofRow = ': write sum(x, "vocab") or atTarget(x)';
    const way = {
      vocab: ofRow,
      entry: ofRow,
      "sequence × vocab": ofRow,
      "group × vocab": ofRow,
      group: ": return its reduction as a metric",
      batch: ": return it as a metric",
    };
    refuse(
      "SPACE_MISMATCH",
      `the output "${key}" of the loss "${name}" lives in ${x.space} space; outputs come back per token or per sequence${way[x.space]}`,
    );
  }
  return { terms, metrics, outputs };
}

/** The metrics that are wanted, computed. */
function chosen(
  definition: LossDefinition,
  given: unknown,
  wanted: readonly string[] | undefined,
  refuse: Refuse,
): Record<string, unknown> {
  const { name } = definition;
  const all = Object.entries(recordOf(name, "metrics", given, refuse));
  const names = all.map(([key]) => key);
  for (const key of wanted ?? []) {
    if (names.includes(key)) continue;
    const known = names.length > 0 ? `; it has ${names.join(", ")}` : "; it has none";
    refuse("USAGE", `the loss "${name}" has no metric "${key}"${nearest(key, names) || known}`);
  }
  const taken = all.filter(([key, x]) => (wanted ? wanted.includes(key) : typeof x !== "function"));
  return Object.fromEntries(taken.map(([key, x]) => [key, typeof x === "function" ? run(definition, () => x()) : x]));
}

function named(name: string, what: string, given: unknown, refuse: Refuse): Map<string, Expression> {
  const all = Object.entries(recordOf(name, what, given, refuse));
  return new Map(all.map(([key, x]) => [key, numeric(name, `${what}.${key}`, x, refuse)]));
}

function recordOf(name: string, what: string, given: unknown, refuse: Refuse): Record<string, unknown> {
  if (isRecord(given) && !(given instanceof Map)) return given;
  return refuse(
    "UNSUPPORTED_SYNTAX",
    `the loss "${name}" returned ${describe(given)} as its ${what}, which are named: { name: value }`,
  );
}

function numeric(name: string, what: string, given: unknown, refuse: Refuse): Expression {
  if (given === undefined || given === null)
    return refuse(
      "UNSUPPORTED_SYNTAX",
      what === "loss"
        ? `the loss "${name}" returned no loss: is a return missing?`
        : `the loss "${name}" returned ${given} as its ${what}: give it a value, or leave it out`,
    );
  if (!isExpression(given) && typeof given !== "number" && typeof given !== "boolean")
    return refuse(
      "UNSUPPORTED_SYNTAX",
      `the loss "${name}" returned ${describe(given)} as its ${what}, which takes numbers and expressions`,
    );
  const x = toExpression(given, what);
  if (x.dtype === "bool")
    return refuse("UNSUPPORTED_SYNTAX", `the ${what} of "${name}" is true or false, not a number: write where(x, 1, 0)`);
  return x;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isExpression(value);
}
