/** Devices, their memory and compiled losses, as callers see them. */

import type { Plan } from "../../codegen/loss-plan.js";
import type { LogitsDtype } from "../../codegen/loss-program.js";
import type { BufferDtype } from "../../codegen/schedule/plan.js";
import type { Config, DtypeOf, InputDtype, Inputs, LossDefinition, LossReturn, Need, SpaceOf } from "../../dsl/index.js";
import type { Builtins, LossName } from "../../losses/index.js";
import type { Memory, NativeDevice } from "../addon/native.js";
import type { AnsweredMetric, ConfigValues, MetricName, OutputName, UnaskedMetric } from "../compiled/types.js";
import type { Float16Numbers, TypedArray } from "./dtypes.js";
import type { LoadedModule, ModuleSource } from "./step-kernels.js";

export type * from "../compiled/types.js";
export type { LaunchArgument, LoadedModule, ModuleSource, StepKernel } from "./step-kernels.js";

/**
 * Numbers of a caller's. A `Float32Array` is used where it lies, without a copy, on devices that compute in host memory; a `Float64Array` or a
 * plain array is converted to the declared dtype; a `Float16Array` is float16, where Node has it; `{ data, dtype }` holds float16 or bfloat16 bits.
 * An array in a resizable `ArrayBuffer` is copied when the call is made. Until the call has settled, memory must stay where it is.
 *
 * `D` is the dtype that the loss declares: halves of the other kind are refused.
 */
export type FloatSource<D extends InputDtype = "f32"> =
  | Float32Array
  | Float64Array
  | (D extends "bf16" ? never : Float16Numbers)
  | readonly number[]
  | (D extends "f32" ? HalfSource : HalfSource<Exclude<D, "f32">>)
  | DeviceBuffer;

/** float16 or bfloat16 bits, one entry per element. */
export interface HalfSource<D extends "bf16" | "f16" = "bf16" | "f16"> {
  readonly data: Uint16Array;
  readonly dtype: D;
}

/** Whole numbers: token ids. Plain arrays and `BigInt64Array` are converted to int32. */
export type TokenSource = Int32Array | Uint32Array | BigInt64Array | readonly number[] | DeviceBuffer;

/** Whole numbers that lie in host memory: lengths and sizes of groups. */
export type WholeSource = readonly number[] | Int32Array | Uint32Array;

/** Input of `forwardBackward`: one batch of data, packed. */
export interface LossInputs {
  /** Tokens of each datum, whole numbers ≥ 0. Their sum is T. */
  readonly lengths: WholeSource;
  /** Sequences of each group, positive whole numbers that sum to the number of data. */
  readonly groups?: WholeSource | undefined;
  /** V, the entries of a row. Only needed where it cannot be derived from `logits`, that is with no tokens. */
  readonly vocab?: number | undefined;
  /** Token × vocabulary, row-major: T·V numbers. Row t predicts `target_tokens[t]`. */
  readonly logits?: FloatSource | undefined;
  /** In place of `logits`: the policy's log-probability of each target, T numbers. */
  readonly policy_logprobs?: FloatSource | undefined;
  /** In place of `logits`: the policy's hidden state of each token, T·H numbers. Logits are `hidden` · `head`ᵀ and are never all in memory. */
  readonly hidden?: FloatSource | undefined;
  /** The output matrix that goes with `hidden`: V·H numbers, vocabulary entry after entry, of its dtype. */
  readonly head?: FloatSource | undefined;
  /** H, the numbers of a hidden state. Only needed where it cannot be derived from `hidden`, that is with no tokens. */
  readonly hidden_size?: number | undefined;
  /** T token ids in 0 … V − 1. */
  readonly target_tokens?: TokenSource | undefined;
  /** T numbers, 1 where left out. A token of weight 0 contributes exactly 0. */
  readonly weights?: FloatSource | undefined;
  /** Inputs that the loss declares: per token, sequence, group, or vocabulary entry; a batch input is one number. */
  readonly [input: string]: unknown;
}

/** How a call of {@link CompiledLoss.forwardBackward} is run; everything may be left out. */
export interface ForwardBackwardOptions<M extends string = string> {
  /**
   * The gradient overwrites `logits` (or `policy_logprobs`, or `hidden`): the caller's typed array or device buffer. No other input that is read
   * where it lies, and no `gradHead`, may overlap `logits` or `hidden` then: `INPUT_OVERLAP`.
   */
  readonly inPlace?: boolean;
  /** Ends the call with `ABORTED`; what was to be written in place is then unspecified. One signal may end any number of calls. */
  readonly signal?: AbortSignal | undefined;
  /** The response to a non-finite loss or gradient: `"error"` (`NON_FINITE`, the default), or `"propagate"` to return the numbers. */
  readonly nonFinite?: "error" | "propagate" | undefined;
  /** Rows of weight 0 are not read; the logprobs and outputs of their tokens are 0. */
  readonly skipMasked?: boolean | undefined;
  /** Names of the metrics to compute beside `"loss:sum"`; left out: those that the loss gives unasked. One that it does not have is `USAGE`. */
  readonly metrics?: readonly M[] | undefined;
  /**
   * With `hidden` and `head`: memory that the gradient of the head is added to, V·H numbers of float32 or of the head's dtype. Nothing is added where
   * the call fails; a call that could still fail after the first chunk (the default for `nonFinite`) gathers it in memory of the same size first.
   */
  readonly gradHead?: FloatSource | undefined;
  /**
   * With `hidden` and `head`: bytes that logits, and what else is needed of a chunk of tokens, may take. By default a tenth of what all logits would
   * (or 4 MiB, where that is more); one token is the least.
   */
  readonly maxBytes?: number | undefined;
}

/** Result of `forwardBackward`. Arrays are float32 (on `reference` float64); the gradient of logits has the logits' dtype. */
export interface LossResult<M extends string = string, O extends string = string> {
  /** Summed over the space that the loss lives in; nothing is averaged. */
  readonly loss: number;
  /** Log-probability of each target (natural log), T numbers; null from `policy_logprobs`. */
  readonly logprobs: Float32Array | Float64Array | null;
  /**
   * d loss / d logits, T·V numbers: a device buffer where `logits` was one, else an array. Float16 and bfloat16 come as bits, but of a `Float16Array`
   * as one.
   */
  readonly gradLogits?: TypedArray | Float16Numbers | DeviceBuffer;
  /** d loss / d policy_logprobs, T numbers; a device buffer where `policy_logprobs` was one. */
  readonly gradLogprobs?: Float32Array | Float64Array | DeviceBuffer;
  /** d loss / d hidden, T·H numbers of its dtype; a device buffer where `hidden` was one. */
  readonly gradHidden?: TypedArray | Float16Numbers | DeviceBuffer;
  /** d loss / d head, V·H numbers: the memory that was given to add to, else of the head's dtype and a device buffer where `head` was one. */
  readonly gradHead?: TypedArray | Float16Numbers | DeviceBuffer;
  /** `"loss:sum"` and the loss's own metrics: those that were asked for, else those that the loss gives unasked. */
  readonly metrics: Readonly<Record<M, number>>;
  /** The loss's own outputs, per token or per sequence. */
  readonly outputs: Readonly<Record<O, Float32Array | Float64Array>>;
  /** Visits to the rows that the plan makes. */
  readonly sweeps: number;
  /** Kernels that were launched for this call; 0 on `reference`. */
  readonly launches: number;
}

/** The inputs of a batch that do not depend on the kind of policy output. */
export interface BatchInputs {
  /** Tokens of each datum. Their sum is T. */
  readonly lengths: WholeSource;
  /** Sequences of each group. */
  readonly groups?: WholeSource | undefined;
  /** T numbers, 1 where left out. A token of weight 0 contributes exactly 0. */
  readonly weights?: FloatSource | undefined;
}

/** A batch for which the policy gives logits. */
export interface LogitsInputs extends BatchInputs {
  /** Token × vocabulary, row-major. Row t predicts `target_tokens[t]`. */
  readonly logits: FloatSource;
  /** T token ids in 0 … V − 1. */
  readonly target_tokens: TokenSource;
  /** V, only needed with no tokens. */
  readonly vocab?: number | undefined;
  readonly hidden?: undefined;
  readonly policy_logprobs?: undefined;
}

/** A batch for which the policy gives hidden states: logits are `hidden` · `head`ᵀ. */
export interface HiddenInputs extends BatchInputs {
  /** Token × hidden size, row-major. The row of token t predicts `target_tokens[t]`. */
  readonly hidden: FloatSource;
  /** Vocabulary × hidden size, row-major. */
  readonly head: FloatSource;
  /** T token ids in 0 … V − 1. */
  readonly target_tokens: TokenSource;
  /** Numbers of a hidden state, only needed with no tokens. */
  readonly hidden_size?: number | undefined;
  /** V, which follows from `head`. */
  readonly vocab?: number | undefined;
  readonly logits?: undefined;
  readonly policy_logprobs?: undefined;
}

/** A batch for which the policy's log-probabilities are known already. */
export interface LogprobsInputs extends BatchInputs {
  /** The policy's log-probability of each target, T numbers. */
  readonly policy_logprobs: FloatSource;
  readonly target_tokens?: TokenSource | undefined;
  readonly logits?: undefined;
  readonly hidden?: undefined;
}

type RequiredInputs<I extends Inputs> = {
  readonly [K in keyof I as I[K] extends { readonly default: number }
    ? never
    : Exclude<K, "weights" | "target_tokens">]: InputSource<I[K]>;
};
type OptionalInputs<I extends Inputs> = {
  readonly [K in keyof I as I[K] extends { readonly default: number } ? K : never]?: InputSource<I[K]> | undefined;
};
type InputSource<S> = SpaceOf<S> extends "batch" ? number : FloatSource<DtypeOf<S>>;
/** The inputs that a loss declares as a call gives them; those with a default may be left out. `weights` and `target_tokens` are of every call. */
export type DataInputs<I extends Inputs> = {
  readonly [K in keyof (RequiredInputs<I> & OptionalInputs<I>)]: (RequiredInputs<I> & OptionalInputs<I>)[K];
};

/** A batch for a loss with the declared inputs `I`: what the policy gives, as `P`, and what the data give. */
export type BatchOf<I extends Inputs, P extends BatchInputs> = P & DataInputs<I>;
// Where a call gives none of them, TypeScript's message is about the last: the order counts, and `RowPolicy` must not be read before it.
type AnyPolicy = LogprobsInputs | HiddenInputs | LogitsInputs;
type RowPolicy = Exclude<AnyPolicy, LogprobsInputs>;
interface NeededGroups extends BatchInputs {
  readonly groups: WholeSource;
}

/** The inputs of a call, by the declared inputs `I` of its loss and, where known, what the loss needs. */
export type InputsOf<I extends Inputs = Inputs, N extends Need = never> = I extends unknown
  ? string extends keyof I
    ? LossInputs | BatchInputs
    : BatchOf<I, ("rows" extends N ? RowPolicy : AnyPolicy) & ("groups" extends N ? NeededGroups : unknown)>
  : never;

/** Options of {@link Device.compile}; everything may be left out. */
export interface CompileOptions<C extends Config = Config> {
  /** dtype of the logits that will come (default `"f32"`); others are compiled when they come. */
  readonly dtype?: LogitsDtype | undefined;
  /** V, where known: the kernels are then ready when `compile` returns. Else they are made in the first call. */
  readonly vocab?: number | undefined;
  /** Constants that specialise the loss, and other defaults for its scalars. */
  readonly config?: ConfigValues<C> | undefined;
}

/**
 * A loss on a device. Plans and binaries are made once per dtype, constants and vocabulary, and shared through the cache. Dispose of it when done;
 * the garbage collector is only the safety net.
 *
 * Its parameters are those of its {@link LossDefinition}; {@link CompiledFrom} takes them from one. Without parameters any compiled loss is one, and
 * what a call gives is checked when the call is made.
 */
export interface CompiledLoss<
  I extends Inputs = Inputs,
  C extends Config = Config,
  R extends LossReturn = LossReturn,
  N extends Need = never,
> extends Disposable {
  readonly loss: LossDefinition<I, C, R, N>;
  readonly device: Device;
  /** The plan that the loss compiles to. `null`: from `policy_logprobs`. Without an argument, the dtype given to `compile`. */
  plan(dtype?: LogitsDtype | null): Plan;
  /**
   * Loss, gradient, metrics and outputs of one batch. Calls on one device run in the order in which they were made.
   * Throws (rejects with) `INPUT_…`, `CONFIG_…`, `TARGET_OUT_OF_RANGE`, `NON_FINITE`, `ABORTED`, `DISPOSED`, `COMPILE_FAILED`, `DEVICE_…`.
   */
  forwardBackward<M extends MetricName<R> = UnaskedMetric<R>>(
    inputs: InputsOf<I, N>,
    config?: ConfigValues<C>,
    options?: ForwardBackwardOptions<M>,
  ): Promise<LossResult<AnsweredMetric<R, M>, OutputName<R>>>;
  /**
   * Frees what the loss holds of its device: kernels that no other loss shares, and memory that no call uses. Returns at once; calls made before
   * still run to their end, later ones reject with `DISPOSED`. A second time it does nothing.
   */
  dispose(): void;
}

type DefinitionOf<L extends LossDefinition | LossName> = L extends LossName ? Builtins[L] : L;
/** The compiled form of a loss, or of one that ships by its name: `CompiledFrom<typeof mine>`, `CompiledFrom<"ppo">`. */
export type CompiledFrom<L extends LossDefinition | LossName> = [DefinitionOf<L>] extends [
  LossDefinition<infer I, infer C, infer R, infer N>,
]
  ? CompiledLoss<I, C, R, N>
  : CompiledLoss;
/** The declared config of a loss, or of one that ships by its name. */
export type ConfigOf<L extends LossDefinition | LossName> =
  CompiledFrom<L> extends CompiledLoss<infer _I, infer C, infer _R, infer _N> ? C : Config;

/** Memory of a device. Dispose of it when done; the garbage collector is only the safety net. */
export interface DeviceBuffer extends Disposable {
  readonly device: Device;
  /** Never there: a buffer is no {@link HalfSource}. Messages of TypeScript are then about the dtype. */
  readonly data?: undefined;
  readonly dtype: BufferDtype;
  /** In elements. */
  readonly length: number;
  readonly byteLength: number;
  /** For commands of the addon. `DISPOSED` after `dispose`. */
  readonly memory: Memory;
  /** A copy of the elements; float16 and bfloat16 as their bits in a `Uint16Array`. */
  read(): Promise<TypedArray>;
  /** Overwrites the whole buffer. `INPUT_LENGTH`, `INPUT_DTYPE` where the data does not fit. */
  write(data: TypedArray | Float16Numbers | readonly number[]): Promise<void>;
  dispose(): void;
}

/** A place where losses run, opened by {@link openDevice}; dispose of it when done. */
export interface Device extends AsyncDisposable {
  /** As resolved: `"cuda:0"`, `"cpu"`, `"emulated"`, `"reference"` (also where `cpu` fell back to it). */
  readonly name: string;
  /** For people: the processor or GPU, and the compiler. */
  readonly description: string;
  /** Kernels launched since the device was opened; 0 on `reference`. */
  readonly launches: number;
  /** The addon's device, for building policies; null on `reference`. */
  readonly native: NativeDevice | null;
  /**
   * Traces a loss, or one that ships by its name, and makes it runnable here. `CONFIG_…`, `SPACE_MISMATCH` and the like where the loss is wrong,
   * `LOSS_UNKNOWN` for a name that no loss has.
   */
  compile<L extends LossDefinition | LossName>(loss: L, options?: CompileOptions<ConfigOf<L>>): Promise<CompiledFrom<L>>;
  /**
   * Memory with the given content, or zeroed memory of a dtype and a length in elements. `Uint16Array` needs its dtype, `"bf16"` or `"f16"`; a
   * `Float16Array` is `"f16"`.
   */
  buffer(
    source: ArrayBufferView | { readonly dtype: BufferDtype; readonly length: number },
    dtype?: BufferDtype,
  ): Promise<DeviceBuffer>;
  /** Compiles and loads hand-written step kernels. Not on `reference`. */
  loadModule(source: ModuleSource): Promise<LoadedModule>;
  /** Waits for running calls, then frees everything. Later calls reject with `DISPOSED`. */
  dispose(): Promise<void>;
}

/** Options of {@link openDevice}; each applies to one kind of device. */
export interface DeviceOptions {
  /** Threads of `cpu`; one per core where left out. Results have the same bits for every number. */
  readonly threads?: number | undefined;
  /** Order of the lanes of `emulated`, or the seed of a shuffled one. */
  readonly order?: "forward" | "reverse" | number | undefined;
}
