/** `defineLoss`: what the author declares, checked and normalised. */
import { rewrittenElsewhere } from "./copies.js";
import { isDefinition, putOff, remember } from "./definitions.js";
import { LosscError, type SourcePosition } from "./errors.js";
import { describe, type Expr, type Num } from "./expression.js";
import { nearest } from "./nearest.js";
import { callerPosition } from "./position.js";
import { isLossFile, isUnrewritten } from "./rewritten.js";
import { SPACES, type Space } from "./spaces.js";

/** How the numbers of an input lie in memory; `"f32"` where nothing is said. */
export type InputDtype = "f32" | "bf16" | "f16";

/** An input as its author declares it: its space, or its space with more. */
export type InputSpec =
  | Space
  | {
      readonly space: Space;
      readonly dtype?: InputDtype;
      /** What every element is where the caller gives none. */
      readonly default?: number;
    };
/** The inputs of a loss as `defineLoss` takes them, by their names. */
export type Inputs = Readonly<Record<string, InputSpec>>;

/** A number is a runtime scalar; a string, a boolean or `{ value, static: true }` specialises the loss when it is compiled. */
export type ConfigSpec = number | string | boolean | { readonly value: number | string | boolean; readonly static: true };
/** The config of a loss as `defineLoss` takes it: defaults by their names. */
export type Config = Readonly<Record<string, ConfigSpec>>;

type ConfigValue<S> = S extends { readonly value: infer V; readonly static: true }
  ? Widened<V>
  : S extends number
    ? Expr
    : Widened<S>;
type Widened<V> = V extends string ? string : V extends boolean ? boolean : V extends number ? number : V;

/** What the policy gives. Only this carries a gradient. */
export interface Policy {
  /** log p(target) of each token, natural log, never above 0. Token space. */
  readonly logprobs: Expr;
  /** log Σ exp over the token's logits. Token space. `INPUT_MISSING` where the caller brings `policy_logprobs` in place of logits. */
  readonly logsumexp: Expr;
  /** The row of each token as the model gave it. Vocab space. `INPUT_MISSING` from `policy_logprobs`. */
  readonly logits: Expr;
  /** −Σ p log p over the token's row, in nats. Token space. `INPUT_MISSING` from `policy_logprobs`. */
  readonly entropy: Expr;
}

/** An expression, several (each summed in its own space), or these with metrics and outputs. */
export type LossReturn =
  | Num
  | readonly Num[]
  | {
      /** Summed over whatever space it lives in. */
      readonly loss: Num | readonly Num[];
      /** Scalars for the host, in batch space; they carry no gradient. A function is called, and costs, only where the caller asks for the metric by name. */
      readonly metrics?: Readonly<Record<string, Num | (() => Num)>>;
      /** Values per token or per sequence; they carry no gradient. */
      readonly outputs?: Readonly<Record<string, Num>>;
    };

/** The mathematics of a loss: from what the policy gives, the inputs and the config to what the loss returns. It is run once, when the loss is traced. */
export type LossFunction<I extends Inputs = Inputs, C extends Config = Config> = (
  policy: Policy,
  inputs: { readonly [K in keyof I]: Expr },
  config: { readonly [K in keyof C]: ConfigValue<C[K]> },
) => LossReturn;

/** An input of a {@link LossDefinition}: an {@link InputSpec} with everything filled in. */
export interface InputDeclaration {
  readonly space: Space;
  readonly dtype: InputDtype;
  readonly default?: number;
}
/** A config entry of a {@link LossDefinition}: a scalar that may change from call to call, or a constant of the compilation. */
export type ConfigDeclaration =
  | { readonly kind: "scalar"; readonly value: number }
  | { readonly kind: "static"; readonly value: number | string | boolean };

/** A loss, ready to be compiled. Made by {@link defineLoss}. */
export interface LossDefinition<I extends Inputs = Inputs, C extends Config = Config> {
  readonly name: string;
  readonly inputs: { readonly [K in keyof I]: InputDeclaration };
  readonly config: { readonly [K in keyof C]: ConfigDeclaration };
  // A method, so that every loss is a LossDefinition without parameters.
  loss(...parameters: Parameters<LossFunction<I, C>>): LossReturn;
}

/** Whether a value was made by {@link defineLoss}. */
export function isLossDefinition(value: unknown): value is LossDefinition {
  return typeof value === "object" && value !== null && isDefinition(value);
}

const KEYS = ["name", "inputs", "config", "loss"];
const RESERVED = ["logits", "lengths", "groups", "vocab", "policy_logprobs", "hidden", "head", "hidden_size"];
const INPUT_KEYS = ["space", "dtype", "default"];
const DTYPES = ["f32", "bf16", "f16"];

/**
 * Declares a loss.
 *
 * `inputs` name the data that a datum brings beside `target_tokens`, each by its space; `weights` (token, 1 where none are given) may come with every
 * loss and is declared only by a loss that reads it. `config` holds the numbers and switches of the mathematics with their defaults. A declaration of `inputs`
 * outside of the call wants `as const`.
 *
 * @throws LosscError `INPUT_UNKNOWN`, `INPUT_DTYPE`, `SPACE_MISMATCH` or `CONFIG_INVALID` for a declaration that cannot be meant;
 *   `UNSUPPORTED_SYNTAX` in a `*.loss.ts` whose operators were not rewritten.
 */
export function defineLoss<
  const I extends Inputs = Record<never, never>,
  const C extends Config = Record<never, never>,
>(declaration: {
  readonly name: string;
  readonly inputs?: I;
  readonly config?: C;
  readonly loss: LossFunction<I, C>;
}): LossDefinition<I, C> {
  return putOff(() => made(declaration));
}

function made<I extends Inputs, C extends Config>(declaration: {
  readonly name: string;
  readonly inputs?: I;
  readonly config?: C;
  readonly loss: LossFunction<I, C>;
}): LossDefinition<I, C> {
  const position = callerPosition();
  refuseUnrewritten(position);
  if (typeof declaration !== "object" || declaration === null)
    fail("CONFIG_INVALID", "defineLoss() wants an object: { name, inputs, config, loss }");
  for (const key of Object.keys(declaration)) {
    if (!KEYS.includes(key)) fail("CONFIG_UNKNOWN", `defineLoss() knows no "${key}"${nearest(key, KEYS)}`);
  }
  const { name, loss } = declaration;
  if (typeof name !== "string" || name === "") fail("CONFIG_INVALID", "defineLoss() wants a name: a text that is not empty");
  if (typeof loss !== "function")
    fail("CONFIG_INVALID", `the loss "${name}" has no function: write loss(policy, inputs, config) { … }`);
  const inputs = Object.entries(declaration.inputs ?? {}).map(
    ([key, spec]) => [key, inputDeclaration(key, spec as InputSpec)] as const,
  );
  const config = Object.entries(declaration.config ?? {}).map(
    ([key, spec]) => [key, configDeclaration(key, spec as ConfigSpec)] as const,
  );
  const definition = Object.freeze({
    name,
    inputs: Object.freeze(Object.fromEntries(inputs)),
    config: Object.freeze(Object.fromEntries(config)),
    loss,
  }) as unknown as LossDefinition<I, C>;
  remember(definition, position);
  return definition;
}

/** JavaScript cannot see a truth test of an expression: a file that relies on operators, and was run without the front end, would be quietly wrong. */
function refuseUnrewritten(position: SourcePosition | undefined): void {
  if (position === undefined || !isUnrewritten(position.file)) return;
  const elsewhere = rewrittenElsewhere(position.file);
  if (elsewhere !== undefined) throw new LosscError("UNSUPPORTED_SYNTAX", elsewhere, { position });
  if (!isLossFile(position.file))
    throw new LosscError(
      "UNSUPPORTED_SYNTAX",
      "this file is named as one with native operators, but only *.loss.ts, .mts, .js and .mjs are rewritten: give it one of these names, or one without .loss",
      { position },
    );
  throw new LosscError(
    "UNSUPPORTED_SYNTAX",
    "this file is named as one with native operators, but they were not rewritten: run it with node --import lossc/register, through the plugin lossc/vite or with the command line, or build it with lossc build; a file that calls the functions by name needs no .loss in its own",
    { position },
  );
}

function inputDeclaration(key: string, spec: InputSpec): InputDeclaration {
  const {
    space,
    dtype = "f32",
    default: otherwise,
  } = typeof spec === "object" && spec !== null ? spec : { space: spec as Space };
  for (const name of typeof spec === "object" && spec !== null ? Object.keys(spec) : []) {
    if (INPUT_KEYS.includes(name)) continue;
    const meant = nearest(name, INPUT_KEYS) || `; it may have ${INPUT_KEYS.join(", ")}`;
    fail("INPUT_UNKNOWN", `the input "${key}" is declared with "${name}"${meant}`);
  }
  if (key === "target_tokens")
    fail(
      "INPUT_UNKNOWN",
      `"target_tokens" come with every call and are not declared: leave them out of inputs; policy.logprobs are those of the targets already, and atTarget(x) reads the target's entry of a row`,
    );
  if (RESERVED.includes(key)) fail("INPUT_UNKNOWN", `an input cannot be called "${key}": that name is lossc's own`);
  if (!SPACES.includes(space))
    fail(
      "SPACE_MISMATCH",
      `the input "${key}" is declared in ${quoted(space)}${(typeof space === "string" && nearest(space, SPACES)) || `; the spaces are ${SPACES.join(", ")}`}`,
    );
  if (!DTYPES.includes(dtype))
    fail("INPUT_DTYPE", `the input "${key}" is declared as ${quoted(dtype)}; the dtypes are ${DTYPES.join(", ")}`);
  if (key === "weights" && space !== "token") fail("SPACE_MISMATCH", `"weights" lives in token space, not in ${space} space`);
  if (key === "weights" && (otherwise ?? 1) !== 1)
    fail("CONFIG_INVALID", `"weights" are 1 where none are given, not ${quoted(otherwise)}: leave the default out`);
  if (otherwise !== undefined && !Number.isFinite(otherwise))
    fail("CONFIG_INVALID", `the default of the input "${key}" is no finite number`);
  const standard = otherwise ?? (key === "weights" ? 1 : undefined);
  return Object.freeze({ space, dtype, ...(standard !== undefined && { default: standard }) });
}

/** What stands where a name or a number should: not everything can be turned into text. */
function quoted(value: unknown): string {
  if (typeof value === "string") return `"${value}"`;
  return typeof value === "object" || typeof value === "function" ? describe(value) : String(value);
}

function configDeclaration(key: string, spec: ConfigSpec): ConfigDeclaration {
  const value = typeof spec === "object" ? spec?.value : spec;
  if (
    typeof spec === "object" &&
    (spec?.static !== true || Object.keys(spec).some((name) => name !== "value" && name !== "static"))
  )
    fail(
      "CONFIG_INVALID",
      `the config "${key}" is a number, or { value, static: true } for a constant that specialises the loss`,
    );
  if (typeof value === "number" ? !Number.isFinite(value) : typeof value !== "string" && typeof value !== "boolean") {
    fail("CONFIG_INVALID", `the default of the config "${key}" must be a finite number, a string or a boolean`);
  }
  if (typeof spec === "object" || typeof value !== "number") return Object.freeze({ kind: "static", value });
  return Object.freeze({ kind: "scalar", value });
}

function fail(
  code: "INPUT_UNKNOWN" | "INPUT_DTYPE" | "SPACE_MISMATCH" | "CONFIG_INVALID" | "CONFIG_UNKNOWN",
  message: string,
): never {
  throw new LosscError(code, message, { position: callerPosition() });
}
