/** Tracing: the loss is run once on expressions, and what it returns is the graph. */
import type { ConfigDeclaration, LossDefinition, Policy } from "./define-loss.js";
import { LosscError } from "./errors.js";
import { type Expr, Expression, toExpression } from "./expression.js";
import { mul, neg } from "./functions.js";
import { nearest } from "./nearest.js";
import * as folds from "./ops/folds.js";
import { callerPosition, thrownPosition } from "./position.js";
import { sum } from "./reductions.js";

/** What a loss returned: expressions of the author's functions, not yet expanded. */
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
}

/** Runs the loss on expressions. */
export function trace(definition: LossDefinition, options: TraceOptions): Traced {
  const inputs = Object.entries(definition.inputs).map(
    ([name, { space, default: otherwise }]) => [name, folds.input(name, space, otherwise)] as const,
  );
  const config = Object.entries(definition.config).map(
    ([name, declared]) => [name, configValue(name, declared, options)] as const,
  );
  const returned = run(
    definition,
    policyOf(definition, options.from),
    refusing(Object.fromEntries(inputs), (key, known) => {
      return new LosscError(
        "INPUT_UNKNOWN",
        `the loss "${definition.name}" reads the input "${key}", which it does not declare${nearest(key, known)}`,
        {
          position: callerPosition(),
        },
      );
    }) as Record<string, Expr>,
    refusing(Object.fromEntries(config), (key, known) => {
      return new LosscError(
        "CONFIG_UNKNOWN",
        `the loss "${definition.name}" reads the config "${key}", which it does not declare${nearest(key, known)}`,
        {
          position: callerPosition(),
        },
      );
    }) as Record<string, Expr>,
  );
  return normalised(definition.name, returned, options.metrics);
}

/** Calls the author's function. What it throws that is no mistake of ours to explain is told with its place. */
function run(definition: LossDefinition, ...args: Parameters<LossDefinition["loss"]>): unknown {
  try {
    return definition.loss(...args);
  } catch (error) {
    if (error instanceof LosscError) throw error;
    const thrown = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    throw new LosscError("UNSUPPORTED_SYNTAX", `the loss "${definition.name}" threw while it was traced: ${thrown}`, {
      cause: error,
      position: thrownPosition(error),
    });
  }
}

/** The record, but a key that it does not hold throws rather than being undefined. */
function refusing<T>(record: Record<string, T>, refuse: (key: string, known: string[]) => LosscError): Record<string, T> {
  return new Proxy(record, {
    get(target, key) {
      if (typeof key === "string" && !Object.hasOwn(target, key)) throw refuse(key, Object.keys(target));
      return Reflect.get(target, key) as T;
    },
  });
}

function configValue(name: string, declared: ConfigDeclaration, options: TraceOptions): unknown {
  return declared.kind === "scalar" ? folds.config(name) : (options.statics[name] ?? declared.value);
}

function policyOf(definition: LossDefinition, from: TraceOptions["from"]): Policy {
  const { logits } = folds;
  if (from === "logits") {
    return {
      logprobs: folds.targetLogprob(logits),
      logsumexp: folds.rowLogsumexp(logits),
      logits,
      entropy: neg(sum(mul(folds.softmax(logits), folds.logSoftmax(logits)), "vocab")),
    };
  }
  const missing = (what: string): never => {
    throw new LosscError(
      "INPUT_MISSING",
      `the loss "${definition.name}" reads policy.${what}, which policy_logprobs do not tell: give logits and target_tokens`,
      { position: callerPosition() },
    );
  };
  return {
    logprobs: folds.policyLogprobs,
    get logsumexp() {
      return missing("logsumexp");
    },
    get logits() {
      return missing("logits");
    },
    get entropy() {
      return missing("entropy");
    },
  };
}

function normalised(name: string, returned: unknown, wanted: readonly string[] | undefined): Traced {
  const record = isRecord(returned) ? returned : { loss: returned };
  for (const key of Object.keys(record)) {
    if (!["loss", "metrics", "outputs"].includes(key)) {
      throw new LosscError(
        "UNSUPPORTED_SYNTAX",
        `the loss "${name}" returned "${key}"${nearest(key, ["loss", "metrics", "outputs"])}; it may return loss, metrics and outputs`,
      );
    }
  }
  const losses = Array.isArray(record.loss) ? (record.loss as unknown[]) : [record.loss];
  const terms = losses.map((loss) => numeric(name, "loss", loss));
  const metrics = named(name, "metrics", chosen(name, record.metrics, wanted));
  const outputs = named(name, "outputs", record.outputs);
  for (const [key, x] of metrics) {
    if (x.space === "batch") continue;
    throw new LosscError(
      "SPACE_MISMATCH",
      `the metric "${key}" of the loss "${name}" lives in ${x.space} space; a metric is one scalar: write mean(x) or sum(x)`,
    );
  }
  for (const [key, x] of outputs) {
    if (x.space === "token" || x.space === "sequence") continue;
    throw new LosscError(
      "SPACE_MISMATCH",
      `the output "${key}" of the loss "${name}" lives in ${x.space} space; outputs come back per token or per sequence`,
    );
  }
  return { terms, metrics, outputs };
}

/** The metrics that are wanted, computed. */
function chosen(name: string, given: unknown, wanted: readonly string[] | undefined): Record<string, unknown> {
  const all = Object.entries((given ?? {}) as Record<string, unknown>);
  const names = all.map(([key]) => key);
  for (const key of wanted ?? []) {
    if (names.includes(key)) continue;
    const known = names.length > 0 ? `it has ${names.join(", ")}` : "it has none";
    throw new LosscError("CONFIG_UNKNOWN", `the loss "${name}" has no metric "${key}"${nearest(key, names)}; ${known}`);
  }
  const taken = all.filter(([key, x]) => (wanted ? wanted.includes(key) : typeof x !== "function"));
  return Object.fromEntries(taken.map(([key, x]) => [key, typeof x === "function" ? x() : x]));
}

function named(name: string, what: string, given: unknown): Map<string, Expression> {
  return new Map(
    Object.entries((given ?? {}) as Record<string, unknown>).map(([key, x]) => [key, numeric(name, `${what}.${key}`, x)]),
  );
}

function numeric(name: string, what: string, given: unknown): Expression {
  if (given === undefined || given === null)
    throw new LosscError("UNSUPPORTED_SYNTAX", `the loss "${name}" returned no ${what}: is a return missing?`);
  const x = toExpression(given, `the ${what} of "${name}"`);
  if (x.dtype === "bool")
    throw new LosscError("UNSUPPORTED_SYNTAX", `the ${what} of "${name}" is true or false, not a number: write where(x, 1, 0)`);
  return x;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Expression);
}
