/** One call of `forwardBackward`, checked and ready to run. */
import type { CompiledPlan } from "../../codegen/compile.js";
import { LosscError } from "../../dsl/errors.js";
import { nearest } from "../../dsl/nearest.js";
import type { OwnedBuffer } from "../devices/buffer.js";
import type { ForwardBackwardOptions, LossResult } from "../devices/device.js";
import { asFloat16, type Float16Numbers, type TypedArray } from "../devices/dtypes.js";
import type { CheckedInputs } from "../inputs/check.js";
import type { CheckedConfig } from "../inputs/config.js";
import { describe, type Source } from "../inputs/numbers.js";
import { type BatchShape, locate } from "../inputs/structure.js";

export interface CallOptions {
  readonly inPlace: boolean;
  readonly propagate: boolean;
  readonly skipMasked: boolean;
  readonly signal: AbortSignal | undefined;
  /** Names of the metrics wanted, each once; undefined: those that the loss gives unasked. */
  readonly metrics: readonly string[] | undefined;
  /** See {@link ForwardBackwardOptions.maxBytes}. */
  readonly maxBytes: number | undefined;
}

export interface Call {
  readonly compiled: CompiledPlan;
  readonly shape: BatchShape;
  readonly inputs: CheckedInputs;
  readonly config: CheckedConfig;
  readonly options: CallOptions;
  /** The memory that the gradient of the head is added to; null where new memory is made, or there is no head. */
  readonly gradHead: Source | null;
}

const OPTIONS = ["inPlace", "signal", "nonFinite", "skipMasked", "metrics", "gradHead", "maxBytes"];

/** `USAGE` where there are options that the call does not have. */
export function refuseUnknown(call: string, options: object, known: readonly string[]): void {
  if (typeof options !== "object" || options === null)
    throw new LosscError("USAGE", `the options are ${describe(options)}; give an object with ${known.join(", ")}`);
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const meant = nearest(name, known) || `; its options are ${known.join(", ")}`;
    throw new LosscError("USAGE", `${call} has no option "${name}"${meant}`);
  }
}

/** Checks the options of a call. `USAGE`. */
export function checkOptions(options: ForwardBackwardOptions): CallOptions {
  refuseUnknown("forwardBackward", options, OPTIONS);
  const { inPlace = false, nonFinite = "error", skipMasked = false, signal, metrics, maxBytes } = options;
  if (nonFinite !== "error" && nonFinite !== "propagate") {
    throw new LosscError("USAGE", `the option nonFinite is ${describe(nonFinite)}; it is "error" or "propagate"`);
  }
  for (const [name, value] of Object.entries({ inPlace, skipMasked })) {
    if (typeof value !== "boolean")
      throw new LosscError("USAGE", `the option ${name} is ${describe(value)}; it is true or false`);
  }
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new LosscError("USAGE", `the option signal is ${describe(signal)}; give an AbortSignal`);
  if (metrics !== undefined) checkNames(metrics);
  if (maxBytes !== undefined && !(Number.isSafeInteger(maxBytes) && maxBytes > 0))
    throw new LosscError("USAGE", `the option maxBytes is ${describe(maxBytes)}; it is a whole number ≥ 1 of bytes`);
  // "loss:sum" always comes back.
  const wanted = metrics && [...new Set(metrics)].filter((name) => name !== "loss:sum");
  return { inPlace, propagate: nonFinite === "propagate", skipMasked, signal, metrics: wanted, maxBytes };
}

/** `metrics`: a list of names, without holes. */
function checkNames(metrics: unknown): void {
  if (!Array.isArray(metrics)) throw new LosscError("USAGE", `the option metrics is ${describe(metrics)}; give a list of names`);
  // Not every(): that passes over holes.
  for (const [i, name] of metrics.entries()) {
    if (typeof name !== "string") throw new LosscError("USAGE", `metrics[${i}] is ${describe(name)}; give a list of names`);
  }
}

/** In place needs memory of the caller's that can hold the gradient. */
export function checkInPlace(source: Source, name: string, dtype: string): void {
  if (source.kind === "host" ? source.own && source.dtype === dtype : source.dtype === dtype) return;
  const half = `${dtype === "f16" ? "a Float16Array, " : ""}{ data, dtype: "${dtype}" } or a device buffer`;
  const wanted = `${dtype === "f32" ? "a Float32Array or a device buffer of f32" : half}, in memory that cannot be resized`;
  throw new LosscError(
    "INPUT_DTYPE",
    `with inPlace the gradient overwrites ${name}, which must be ${wanted}; leave inPlace out to get a new array`,
  );
}

const GRADIENTS = { logits: "gradLogits", policy_logprobs: "gradLogprobs", hidden: "gradHidden" } as const;

/** The gradient of what the policy gives, under its name in the result. */
export function gradientResult(
  { from, source }: CheckedInputs,
  gradient: TypedArray | OwnedBuffer,
): Pick<LossResult, "gradLogits" | "gradLogprobs" | "gradHidden"> {
  return { [GRADIENTS[from]]: likeGiven(source, gradient) };
}

/** A gradient as the caller gave what it is the gradient of: of a `Float16Array` one too, and that itself where it was overwritten. */
export function likeGiven(of: Source, gradient: TypedArray | OwnedBuffer): TypedArray | Float16Numbers | OwnedBuffer {
  if (of.kind === "device" || !of.float16 || !(gradient instanceof Uint16Array)) return gradient;
  return gradient === of.array ? of.float16 : asFloat16(gradient);
}

/** The error of a non-finite loss or gradient, naming the first datum and token that show it. */
export function nonFiniteError(
  loss: string,
  shape: BatchShape,
  space: "token" | "sequence" | "group" | "head" | "batch",
  element: number,
): LosscError {
  let where: string;
  if (space === "token") {
    const place = locate(shape, element);
    where = `first at datum ${place.datum}, token ${place.token} (token ${element} of the batch)`;
  } else if (space === "sequence") {
    const before = shape.lengths.slice(0, element).reduce((sum, length) => sum + length, 0);
    where = `first at datum ${element} (tokens ${before} … ${before + (shape.lengths[element] ?? 0) - 1} of the batch)`;
  } else if (space === "group") {
    const first = (shape.groups ?? []).slice(0, element).reduce((sum, size) => sum + size, 0);
    where = `first in group ${element} (data ${first} … ${first + (shape.groups?.[element] ?? 1) - 1})`;
  } else if (space === "head") where = `first in the gradient of the head's entry ${element}`;
  else where = "in a term that belongs to the whole batch";
  return new LosscError(
    "NON_FINITE",
    `the loss "${loss}" or its gradient is not finite, ${where}; look at what that datum holds, give it weight 0, or (in a program) ask for nonFinite: "propagate"`,
  );
}
