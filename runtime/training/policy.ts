/** The interface of the model that a client trains. */
import { LosscError } from "../../dsl/errors.js";
import type { DeviceBuffer, FloatSource } from "../devices/device.js";
import { type Float16Numbers, isArrayOf, type TypedArray } from "../devices/dtypes.js";
import { describe } from "../inputs/numbers.js";
import type { AdamParameters } from "./adam.js";

/** Input of a policy: sequences packed one after the other. */
export interface PolicyBatch {
  /** The `modelInput` of every datum, in order. */
  readonly tokens: Int32Array;
  /** How many of the tokens belong to each datum. */
  readonly lengths: readonly number[];
}

/** Output of {@link TrainingPolicy.forward}: logits, or hidden states with the head that makes logits of them. */
export type PolicyOutput = PolicyLogits | PolicyHidden;

/** Output of a policy that computes all logits itself. */
export interface PolicyLogits {
  /**
   * One row for every token of the batch, row-major: token × vocabulary. The row of token t predicts `target_tokens[t]`. The memory is lent until the
   * next call on the policy; the gradient is written over it.
   */
  readonly logits: FloatSource;
}

/**
 * Logits are `hidden` · `head`ᵀ; they are made a chunk of tokens at a time and never all in memory. Both are lent until the next call on the policy.
 */
export interface PolicyHidden {
  /** Token × hidden size, row-major. The state of token t predicts `target_tokens[t]`. */
  readonly hidden: FloatSource;
  /** Vocabulary × hidden size, row-major, of the dtype of `hidden`. */
  readonly head: FloatSource;
}

/** The part of a policy's output that the loss takes; other fields are ignored. `INPUT_MISSING` where it holds neither logits nor hidden states. */
export function rowsOf(output: unknown): PolicyOutput {
  const { logits, hidden, head } = (output ?? {}) as Partial<PolicyLogits & PolicyHidden>;
  if (hidden !== undefined && head !== undefined) return { hidden, head };
  if (hidden === undefined && logits !== undefined) return { logits };
  const what = hidden === undefined ? "without logits or hidden" : "with hidden but no head";
  const given = typeof output === "object" && output !== null ? `${describe(output)} ${what}` : describe(output);
  throw new LosscError(
    "INPUT_MISSING",
    `forward() of the policy gave ${given}; it must give { logits }, or { hidden, head }, of every token of the batch`,
  );
}

/** A named array of float32 numbers with its shape, row-major. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** How many numbers a tensor of that shape has. */
export const numbersOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Everything that training has made of a policy: its weights, the moments of its optimiser, and how many steps that took. */
export interface PolicyState {
  readonly step: number;
  readonly tensors: Readonly<Record<string, Tensor>>;
}

/** Whether a value is a list of whole numbers ≥ 0, with a product that can be counted. */
export function isShape(value: unknown): value is readonly number[] {
  if (!Array.isArray(value)) return false;
  // From, as every() does not see holes.
  return Array.from(value).every((size) => Number.isSafeInteger(size) && size >= 0) && Number.isSafeInteger(numbersOf(value));
}

/** Whether a value has the form of a state, as a policy of somebody else's may not give it. */
export function isState(value: unknown): value is PolicyState {
  const { step, tensors } = (value ?? {}) as Partial<PolicyState>;
  const isTensor = (tensor: Partial<Tensor> | null | undefined) =>
    isArrayOf(tensor?.data, Float32Array) && isShape(tensor.shape) && numbersOf(tensor.shape) === tensor.data.length;
  const isCount = Number.isSafeInteger(step) && (step as number) >= 0;
  return isCount && typeof tensors === "object" && tensors !== null && Object.values(tensors).every(isTensor);
}

/** The model being trained. A {@link TrainingClient} calls it from one place at a time. */
export interface TrainingPolicy {
  /** Logits or hidden states of every token. Must leave the policy as it was where it fails. */
  forward(batch: PolicyBatch, options: { readonly signal?: AbortSignal }): Promise<PolicyOutput>;
  /**
   * Adds the gradient of the weights, given that of what the last {@link TrainingPolicy.forward} yielded, to what has gathered: of logits, or of
   * hidden states and, as
   * `gradHead`, of the head. All of it or nothing. Both are lent until it has settled.
   */
  backward(
    gradient: TypedArray | Float16Numbers | DeviceBuffer,
    gradHead?: TypedArray | Float16Numbers | DeviceBuffer,
  ): Promise<void>;
  /**
   * One step of Adam with the gathered gradients, which are zero afterwards. Where their norm is not finite it must throw `NON_FINITE` and change
   * nothing, unless
   * `nonFinite` is `"propagate"`.
   */
  optimStep(adam: AdamParameters): Promise<void>;
  state(): Promise<PolicyState>;
  /** Takes over a state and drops the gathered gradients. Must check it whole before it changes anything. */
  load(state: PolicyState): Promise<void>;
}
