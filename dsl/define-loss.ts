/** `defineLoss`: checks and normalises the author's declaration. */
import { rewrittenElsewhere } from "./copies.js";
import { isDefinition, putOff, remember } from "./definitions.js";
import { DTYPES } from "./dtypes.js";
import { LosscError, type SourcePosition } from "./errors.js";
import { describe } from "./expression.js";
import type {
  Config,
  ConfigDeclaration,
  ConfigSpec,
  InputDeclaration,
  InputSpec,
  Inputs,
  LossDeclaration,
  LossDefinition,
  LossReturn,
  None,
  PlainConfig,
  PlainInputs,
  PlainReturn,
} from "./loss-types.js";
import { nearest } from "./nearest.js";
import { callerPosition } from "./position.js";
import { isLossFile, isUnrewritten } from "./rewritten.js";
import { type InputSpace, SPACES } from "./spaces.js";

export type * from "./loss-types.js";

/** Whether a value was made by {@link defineLoss}. */
export function isLossDefinition(value: unknown): value is LossDefinition {
  return typeof value === "object" && value !== null && isDefinition(value);
}

const KEYS = ["name", "inputs", "config", "loss"];
const RESERVED = ["logits", "lengths", "groups", "vocab", "policy_logprobs", "hidden", "head", "hidden_size"];
const INPUT_KEYS = ["space", "dtype", "default"];

/**
 * Declares a loss.
 *
 * `inputs` name the data that a datum brings beside `target_tokens`, each by its space; `weights` (token, 1 where none are given) may come
 * with every loss and is declared only by a loss that reads it. `config` holds the numbers and switches of the mathematics with their
 * defaults. A declaration of inputs outside of the call is written `{ … } satisfies Inputs`, so that TypeScript keeps the names of spaces.
 *
 * A loss is derived from another by a copy of its definition:
 * `defineLoss({ ...ppo, name: "mine", config: { ...ppo.config, clip_low_threshold: 0.9 } })`.
 *
 * @throws LosscError `INPUT_UNKNOWN`, `INPUT_DTYPE`, `SPACE_MISMATCH` or `CONFIG_INVALID` for a declaration that cannot be meant;
 *   `UNSUPPORTED_SYNTAX` in a `*.loss.ts` whose operators were not rewritten.
 */
export function defineLoss<const I extends Inputs = None, const C extends Config = None, R extends LossReturn = LossReturn>(
  declaration: LossDeclaration<I, C, R>,
): LossDefinition<PlainInputs<I>, PlainConfig<C>, PlainReturn<R>> {
  return putOff(() => made(declaration));
}

function made<const I extends Inputs, const C extends Config, R extends LossReturn>(
  declaration: LossDeclaration<I, C, R>,
): LossDefinition<PlainInputs<I>, PlainConfig<C>, PlainReturn<R>> {
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
  }) as unknown as LossDefinition<PlainInputs<I>, PlainConfig<C>, PlainReturn<R>>;
  remember(definition, position);
  return definition;
}

/** Refuses a file that was to be rewritten and was not: JavaScript cannot see a truth test of an expression, so its losses would be quietly wrong. */
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
  } = typeof spec === "object" && spec !== null ? spec : { space: spec as InputSpace };
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

/** A value of the caller's for a message. `String` throws for some objects, so these are described. */
function quoted(value: unknown): string {
  if (typeof value === "string") return `"${value}"`;
  return typeof value === "object" || typeof value === "function" ? describe(value) : String(value);
}

function configDeclaration(key: string, spec: ConfigSpec): ConfigDeclaration {
  const isObject = typeof spec === "object";
  const value = isObject ? spec?.value : spec;
  const kind = isObject ? kindOf(spec) : typeof value === "number" ? "scalar" : "static";
  if (kind === undefined)
    fail(
      "CONFIG_INVALID",
      `the config "${key}" is a number, or { value, static: true } for a constant that specialises the loss`,
    );
  if (typeof value === "number" ? !Number.isFinite(value) : typeof value !== "string" && typeof value !== "boolean") {
    fail("CONFIG_INVALID", `the default of the config "${key}" must be a finite number, a string or a boolean`);
  }
  if (kind === "static") return Object.freeze({ kind, value });
  if (typeof value !== "number") fail("CONFIG_INVALID", `the config "${key}" is a scalar: its default must be a finite number`);
  return Object.freeze({ kind, value });
}

/** The kind of config that an object declares: as `{ value, static: true }`, or as a definition holds it, for `{ ...other.config }`. */
function kindOf(spec: object | null): ConfigDeclaration["kind"] | undefined {
  const { value: _, ...others }: Readonly<Record<string, unknown>> = { ...spec };
  const [mark, ...more] = Object.entries(others);
  if (more.length > 0) return undefined;
  if (mark?.[0] === "static" && mark[1] === true) return "static";
  return mark?.[0] === "kind" && (mark[1] === "scalar" || mark[1] === "static") ? mark[1] : undefined;
}

function fail(
  code: "INPUT_UNKNOWN" | "INPUT_DTYPE" | "SPACE_MISMATCH" | "CONFIG_INVALID" | "CONFIG_UNKNOWN",
  message: string,
): never {
  throw new LosscError(code, message, { position: callerPosition() });
}
