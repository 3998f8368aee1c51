/** Checks of a call's inputs, before anything is launched. */
import type { BufferDtype } from "../../codegen/schedule/plan.js";
import { LosscError } from "../../dsl/errors.js";
import type { InputDeclaration, LossDefinition } from "../../dsl/index.js";
import { nearest } from "../../dsl/nearest.js";
import { isPerEntry } from "../../dsl/spaces.js";
import type { Device, LossInputs } from "../devices/device.js";
import { isHalf } from "../devices/dtypes.js";
import { type CheckedHead, checkHead } from "../head/check.js";
import { checkThere, describe, floatSource, type Source, tokenSource } from "./numbers.js";
import { checkCount, checkGroups, checkLengths, checkVocab } from "./shape.js";
import { type BatchShape, locate } from "./structure.js";

/** Inputs that are known to fit together; nothing is converted yet. */
export interface CheckedInputs {
  readonly shape: BatchShape;
  /** The output of the policy. */
  readonly from: (typeof FROM)[number];
  /** Its numbers, whose gradient is computed. */
  readonly source: Source;
  /** Null from `policy_logprobs`, and from hidden states. */
  readonly logits: Source | null;
  readonly policyLogprobs: Source | null;
  /** In place of logits: hidden states and head, whose product they are. */
  readonly head: CheckedHead | null;
  /** int32, or whole numbers in a `Float64Array`; null where none were given, as may be from `policy_logprobs`. */
  readonly targets: Source | null;
  /** Those given, by name, `weights` among them; a batch input has one element. */
  readonly inputs: Readonly<Record<string, Source>>;
}

const OWN = [
  "lengths",
  "groups",
  "vocab",
  "logits",
  "policy_logprobs",
  "hidden",
  "head",
  "hidden_size",
  "target_tokens",
  "weights",
] as const;

/** Outputs of a policy: logits, or one of these in their place. */
const FROM = ["logits", "policy_logprobs", "hidden"] as const;

const WEIGHTS: InputDeclaration = { space: "token", dtype: "f32", default: 1 };

/**
 * Checks the inputs of one call. `device` is where buffers must live; `groupSize` is how many data every group must have, 0 where none are needed.
 *
 * @throws LosscError `INPUT_MISSING`, `INPUT_UNKNOWN`, `INPUT_LENGTH`, `INPUT_DTYPE`, `TARGET_OUT_OF_RANGE`, `DISPOSED`.
 */
export function checkInputs(loss: LossDefinition, inputs: LossInputs, device: Device, groupSize: number): CheckedInputs {
  if (typeof inputs !== "object" || inputs === null) {
    throw new LosscError(
      "INPUT_MISSING",
      `the inputs are ${describe(inputs)}; give an object with lengths, logits, target_tokens and what the loss declares`,
    );
  }
  // Names are the user's: "constructor" is one like any other, and must not be found on a prototype.
  const given: LossInputs = Object.assign(Object.create(null), inputs);
  checkNames(loss, given);
  const { lengths, tokens } = checkLengths(given.lengths);
  const groups = checkGroups(given.groups, lengths.length);
  const [named, other] = FROM.filter((name) => given[name] !== undefined);
  if (other !== undefined) {
    throw new LosscError(
      "INPUT_UNKNOWN",
      `both ${named} and ${other} are given; the one stands in place of the other, so leave one out`,
    );
  }
  // For a head without hidden states, the error asks for hidden states, not for logits.
  const from = named ?? (given.head === undefined ? "logits" : "hidden");
  for (const name of from === "hidden" ? [] : ["head", "hidden_size"]) {
    if (given[name] !== undefined)
      throw new LosscError("INPUT_UNKNOWN", `${name} is given without hidden: it belongs to hidden states, so leave it out`);
  }
  const fromRows = from !== "policy_logprobs";
  const head = from === "hidden" ? checkHead(given, tokens) : null;
  const others = "; or give policy_logprobs in its place, or hidden and head";
  const logits = from === "logits" ? floatSource(need(loss, given, "logits", others), "logits") : null;
  const vocab = logits ? checkVocab(given.vocab, logits.length, tokens) : head ? head.vocab : null;
  const shape: BatchShape = { lengths, groups, tokens, vocab: vocab ?? 0 };
  if (groupSize > 0 && !groups)
    throw new LosscError(
      "INPUT_MISSING",
      `the loss "${loss.name}" compares the data of groups, and the input groups is missing; give the number of data of each group`,
    );

  const small = groups?.findIndex((size) => size < groupSize) ?? -1;
  if (groups && small >= 0)
    throw new LosscError(
      "INPUT_LENGTH",
      `groups[${small}] has ${groups[small]} data, but the loss "${loss.name}" picks the datum ${groupSize - 1} (from 0) of every group; give groups of at least ${groupSize}`,
    );

  const policyLogprobs = fromRows ? null : floatSource(given.policy_logprobs, "policy_logprobs");
  if (policyLogprobs) {
    checkCount("policy_logprobs", policyLogprobs.length, shape, "token");
    checkDeviceDtype("policy_logprobs", policyLogprobs, "f32", "they are read as f32; make the buffer so");
  }
  const targets =
    fromRows || given.target_tokens !== undefined || Object.hasOwn(loss.inputs, "target_tokens")
      ? tokenSource(need(loss, given, "target_tokens"), "target_tokens")
      : null;
  if (targets) {
    checkCount("target_tokens", targets.length, shape, "token");
    checkTargets(targets, shape, vocab);
  }

  const own: Record<string, Source> = Object.create(null);
  for (const [name, declared] of Object.entries({
    weights: WEIGHTS,
    ...loss.inputs,
  })) {
    // Every loss has its targets, also one that declares them.
    if (name === "target_tokens") continue;
    const value = given[name];
    if (value !== undefined && isPerEntry(declared.space) && !fromRows)
      throw new LosscError(
        "INPUT_MISSING",
        `${name} has ${declared.space === "entry" ? "an entry beside each of" : "rows beside those of"} logits, and logits are missing: give them and target_tokens`,
      );
    if (value !== undefined) own[name] = inputSource(name, value, declared, shape);
    else if (declared.default === undefined) need(loss, given, name);
  }
  const result = {
    shape,
    from,
    source: (logits ?? policyLogprobs ?? head?.hidden) as Source,
    logits,
    policyLogprobs,
    head,
    targets,
    inputs: own,
  };
  for (const [name, source] of sourcesOf(result)) {
    if (source?.kind === "device") checkHome(name, source, device);
  }
  return result;
}

/** All given inputs, with their names. */
export function sourcesOf({
  logits,
  policyLogprobs,
  head,
  targets,
  inputs,
}: CheckedInputs): (readonly [string, Source | null])[] {
  return [
    ["logits", logits],
    ["policy_logprobs", policyLogprobs],
    ["hidden", head?.hidden ?? null],
    ["head", head?.head ?? null],
    ["target_tokens", targets],
    ...Object.entries(inputs),
  ];
}

/** The dtype in which kernels read an input, where `rows` is the dtype of rows. Other dtypes are converted. */
export function readAs(loss: LossDefinition, name: string, rows: BufferDtype): BufferDtype {
  if (name === "policy_logprobs") return "f32";
  if (name === "target_tokens") return "i32";
  if (name === "logits" || name === "hidden" || name === "head") return rows;
  return Object.hasOwn(loss.inputs, name) ? (loss.inputs[name] as InputDeclaration).dtype : WEIGHTS.dtype;
}

/** Checks, when a call begins and when its kernels have run, that arrays are as long as they were when it was made. `INPUT_LENGTH`. */
export function checkStill(inputs: CheckedInputs, gradHead: Source | null): void {
  for (const [name, source] of [...sourcesOf(inputs), ["gradHead", gradHead] as const]) {
    if (source?.kind === "host") checkThere(name, source.array, source.length);
  }
}

function checkNames(loss: LossDefinition, given: LossInputs): void {
  const names = [...OWN, ...Object.keys(loss.inputs)];
  for (const name of Object.keys(given)) {
    if (given[name] !== undefined && !names.includes(name)) {
      throw new LosscError(
        "INPUT_UNKNOWN",
        `the loss "${loss.name}" has no input "${name}"${nearest(name, names) || `; its inputs are ${names.join(", ")}`}`,
      );
    }
  }
}

function need(loss: LossDefinition, given: LossInputs, name: string, otherwise = ""): unknown {
  if (given[name] !== undefined) return given[name];
  const space = Object.hasOwn(loss.inputs, name) ? loss.inputs[name]?.space : undefined;
  const how = space
    ? `; the loss declares it per ${space === "batch" ? "batch, as one number" : isPerEntry(space) ? "vocabulary entry" : space}`
    : otherwise;
  throw new LosscError("INPUT_MISSING", `the loss "${loss.name}" needs the input ${name}${how}`);
}

function inputSource(name: string, value: unknown, declared: InputDeclaration, shape: BatchShape): Source {
  if (declared.space === "batch") {
    if (typeof value !== "number")
      throw new LosscError("INPUT_DTYPE", `${name} is ${describe(value)}; it lives in batch space, so give one number`);
    return {
      kind: "host",
      array: Float64Array.of(value),
      dtype: "f64",
      length: 1,
      own: false,
    };
  }
  if (typeof value === "number") {
    throw new LosscError(
      "INPUT_DTYPE",
      `${name} is one number; it lives in ${declared.space} space, so give an array with one per ${declared.space}`,
    );
  }
  const source = floatSource(value, name);
  if (declared.space === "group" && !shape.groups)
    throw new LosscError(
      "INPUT_MISSING",
      `${name} lives in group space, and the input groups is missing; give the number of data of each group`,
    );
  checkCount(name, source.length, shape, declared.space);
  const half = isHalf(source.dtype);
  if (half && declared.dtype !== "f32" && source.dtype !== declared.dtype) {
    throw new LosscError(
      "INPUT_DTYPE",
      `${name} is ${source.dtype}, but the loss declares ${declared.dtype}; convert it, or give float32`,
    );
  }
  const other = `or declare { space: "${declared.space}", dtype: "${source.dtype}" }`;
  checkDeviceDtype(name, source, declared.dtype, `the loss declares ${declared.dtype}; make the buffer so, ${other}`);
  return source;
}

/** Device buffers are not converted: the kernels were compiled for one dtype. */
function checkDeviceDtype(name: string, source: Source, dtype: string, but: string): void {
  if (source.kind === "host" || source.dtype === dtype) return;
  throw new LosscError("INPUT_DTYPE", `${name} is a device buffer of ${source.dtype}, but ${but}`);
}

/** Targets in host memory are checked here, those on a device in the kernel. */
function checkTargets(targets: Source, shape: BatchShape, vocab: number | null): void {
  if (targets.kind === "device") return;
  const limit = vocab ?? 2 ** 31;
  const { array } = targets;
  for (let i = 0; i < array.length; i++) {
    const target = array[i] as number;
    if (target < 0 || target >= limit) throw targetOutOfRange(shape, i, vocab, target);
  }
}

/** The error of a bad target, found on the host or by a kernel. */
export function targetOutOfRange(shape: BatchShape, token: number, vocab: number | null, target?: number): LosscError {
  const place = locate(shape, token);
  const what = target === undefined ? "is" : `is ${target},`;
  const range = vocab === null ? "no token id" : `outside the vocabulary of ${vocab} entries: targets are 0 … ${vocab - 1}`;
  return new LosscError(
    "TARGET_OUT_OF_RANGE",
    `target_tokens[${token}] (datum ${place.datum}, token ${place.token}) ${what} ${range}, also where the weight is 0`,
  );
}

export function checkHome(name: string, source: Source & { kind: "device" }, device: Device): void {
  if (source.buffer.disposed)
    throw new LosscError("DISPOSED", `the buffer of ${name} has been disposed of; make a new one with device.buffer()`);
  if (source.buffer.device !== device) {
    throw new LosscError(
      "INPUT_DTYPE",
      `the buffer of ${name} lives on another device (${source.buffer.device.name}); make it with ${device.name}'s device.buffer()`,
    );
  }
}
