/** Devices, their memory and compiled losses, as callers see them. */
import type { Launch } from "../../codegen/emit/index.js";
import type { BufferDtype, LogitsDtype, Plan } from "../../codegen/plan.js";
import type { LossDefinition } from "../../dsl/index.js";
import type { Command, Memory, NativeDevice, NativeModule } from "../addon/native.js";
import type { Float16Numbers, TypedArray } from "./dtypes.js";

/** Constants or scalars of a loss, by the names that it declares. */
export type ConfigValues = Readonly<Record<string, number | string | boolean | undefined>>;

/**
 * Numbers of a caller's. A `Float32Array` is used where it lies, without a copy, on devices that compute in host memory; a `Float64Array` or a
 * plain array is converted to the declared dtype; a `Float16Array` is float16, where Node has it; `{ data, dtype }` holds float16 or bfloat16 bits. An array in
 * a resizable `ArrayBuffer` is copied when the call is made. Until the call has settled, memory must stay where it is.
 */
export type FloatSource = Float32Array | Float64Array | Float16Numbers | readonly number[] | HalfSource | DeviceBuffer;

/** float16 or bfloat16 bits, one entry per element. */
export interface HalfSource {
  readonly data: Uint16Array;
  readonly dtype: "bf16" | "f16";
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
export interface ForwardBackwardOptions {
  /**
   * The gradient overwrites `logits` (or `policy_logprobs`, or `hidden`): the caller's typed array or device buffer. No other input that is read where it lies, and
   * no `gradHead`, may overlap `logits` or `hidden` then: `INPUT_OVERLAP`.
   */
  readonly inPlace?: boolean;
  /** Ends the call with `ABORTED`; what was to be written in place is then unspecified. One signal may end any number of calls. */
  readonly signal?: AbortSignal | undefined;
  /** The response to a non-finite loss or gradient: `"error"` (`NON_FINITE`, the default), or `"propagate"` to return the numbers. */
  readonly nonFinite?: "error" | "propagate" | undefined;
  /** Rows of weight 0 are not read, and their logprob is reported as 0. */
  readonly skipMasked?: boolean | undefined;
  /** Names of the metrics to compute beside `"loss:sum"`; left out: those that the loss gives unasked. One that it does not have is `USAGE`. */
  readonly metrics?: readonly string[] | undefined;
  /**
   * With `hidden` and `head`: memory that the gradient of the head is added to, V·H numbers of float32 or of the head's dtype. Nothing is added where the call
   * fails; a call that could still fail after the first chunk (the default for `nonFinite`) gathers it in memory of the same size first.
   */
  readonly gradHead?: FloatSource | undefined;
  /** With `hidden` and `head`: bytes that logits, and what else is needed of a chunk of tokens, may take. By default a tenth of what all logits would (or 4 MiB, where that is more); one token is the least. */
  readonly maxBytes?: number | undefined;
}

/** Result of `forwardBackward`. Arrays are float32 (on `reference` float64); the gradient of logits has the logits' dtype. */
export interface LossResult {
  /** Summed over the space that the loss lives in; nothing is averaged. */
  readonly loss: number;
  /** Log-probability of each target (natural log), T numbers; null from `policy_logprobs`. */
  readonly logprobs: Float32Array | Float64Array | null;
  /** d loss / d logits, T·V numbers: a device buffer where `logits` was one, else an array. Float16 and bfloat16 come as bits, but of a `Float16Array` as one. */
  readonly gradLogits?: TypedArray | Float16Numbers | DeviceBuffer;
  /** d loss / d policy_logprobs, T numbers; a device buffer where `policy_logprobs` was one. */
  readonly gradLogprobs?: Float32Array | Float64Array | DeviceBuffer;
  /** d loss / d hidden, T·H numbers of its dtype; a device buffer where `hidden` was one. */
  readonly gradHidden?: TypedArray | Float16Numbers | DeviceBuffer;
  /** d loss / d head, V·H numbers: the memory that was given to add to, else of the head's dtype and a device buffer where `head` was one. */
  readonly gradHead?: TypedArray | Float16Numbers | DeviceBuffer;
  /** `"loss:sum"` and the loss's own metrics. */
  readonly metrics: Readonly<Record<string, number>>;
  /** The loss's own outputs, per token or per sequence. */
  readonly outputs: Readonly<Record<string, Float32Array | Float64Array>>;
  /** Visits to the rows that the plan makes. */
  readonly sweeps: number;
  /** Kernels that were launched for this call; 0 on `reference`. */
  readonly launches: number;
}

/** Options of {@link Device.compile}; everything may be left out. */
export interface CompileOptions<C = ConfigValues> {
  /** dtype of the logits that will come (default `"f32"`); others are compiled when they come. */
  readonly dtype?: LogitsDtype | undefined;
  /** V, where known: the kernels are then ready when `compile` returns. Else they are made in the first call. */
  readonly vocab?: number | undefined;
  /** Constants that specialise the loss, and other defaults for its scalars. */
  readonly config?: C | undefined;
}

/**
 * A loss on a device. Plans and binaries are made once per dtype, constants and vocabulary, and shared through the cache. Dispose of it when done; the
 * garbage collector is only the safety net.
 */
export interface CompiledLoss extends Disposable {
  readonly loss: LossDefinition;
  readonly device: Device;
  /** The plan of the loss for logits of a dtype, or (`null`) from `policy_logprobs`. Without an argument, the dtype given to `compile`. */
  plan(dtype?: LogitsDtype | null): Plan;
  /**
   * Loss, gradient, metrics and outputs of one batch. Calls on one device run in the order in which they were made.
   * Throws (rejects with) `INPUT_…`, `CONFIG_…`, `TARGET_OUT_OF_RANGE`, `NON_FINITE`, `ABORTED`, `DISPOSED`, `COMPILE_FAILED`, `DEVICE_…`.
   */
  forwardBackward(inputs: LossInputs, config?: ConfigValues, options?: ForwardBackwardOptions): Promise<LossResult>;
  /**
   * Frees what the loss holds of its device: kernels that no other loss shares, and memory that no call uses. Returns at once; calls made before still
   * run to their end, later ones reject with `DISPOSED`. A second time it does nothing.
   */
  dispose(): void;
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
}

/** A batch for which the policy's log-probabilities are known already. */
export interface LogprobsInputs extends BatchInputs {
  /** The policy's log-probability of each target, T numbers. */
  readonly policy_logprobs: FloatSource;
  readonly target_tokens?: TokenSource | undefined;
}

/** Carries the types of a built loss; nothing is ever there. */
declare const BUILT: unique symbol;

/** A loss of a module that `lossc build` wrote: its inputs and config are known to TypeScript. */
export interface BuiltLoss<I, C> extends LossDefinition {
  readonly [BUILT]: { readonly inputs: I; readonly config: C };
}

/** A built loss on a device: a missing input or a misspelt config is an error in the editor already. */
export interface CompiledBuiltLoss<I, C> extends Omit<CompiledLoss, "forwardBackward"> {
  /** See {@link CompiledLoss.forwardBackward}. */
  forwardBackward(inputs: I, config?: C, options?: ForwardBackwardOptions): Promise<LossResult>;
}

/** Memory of a device. Dispose of it when done; the garbage collector is only the safety net. */
export interface DeviceBuffer extends Disposable {
  readonly device: Device;
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

/** One field of a kernel's argument struct. */
export type LaunchArgument =
  | Memory
  | null
  | {
      readonly memory: Memory;
      /** In bytes. */
      readonly offset: number;
    }
  | { readonly index: number }
  | { readonly scalar: number };

/** Kernels that a device has loaded. */
export interface LoadedModule {
  readonly module: NativeModule;
  readonly launches: readonly Launch[];
  /**
   * The command that runs a kernel over `elements` (≥ 1). Arguments in the order of the struct's fields: memory (or null) for a pointer,
   * `{ index }` for a whole number, `{ scalar }` for a float64.
   */
  launch(kernel: string, elements: number, args: readonly LaunchArgument[]): Command;
}

/**
 * A step kernel written by hand in the prelude's primitives: a struct with the name of its id, in upper camel case, whose function is called for each element.
 *
 * ```ts
 * const scale: StepKernel = {
 *   id: "scale",
 *   body: `
 * struct Scale {
 *   struct Args { index n; float* x; double factor; };
 *   LOSSC_FN static void element(const Args& a, index i) { store(a.x, i, float(a.factor) * load(a.x, i)); }
 * };`,
 * };
 * ```
 *
 * The fields of `Args` are what {@link LoadedModule.launch} is given, in order: here `[{ index: n }, x.memory, { scalar: 0.5 }]`. The first is the number of elements.
 */
export interface StepKernel {
  /** Name of the entry point, unique in its module: a C identifier that the C library does not use. */
  readonly id: string;
  readonly body: string;
}

/** Step kernels that are compiled together, for every target. */
export interface ModuleSource {
  /** First line of the text: the purpose of the kernels. */
  readonly comment: string;
  readonly kernels: readonly StepKernel[];
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
  /** Traces a loss and makes it runnable here; one of a module that `lossc build` wrote keeps the types of its inputs and config. `CONFIG_…`, `SPACE_MISMATCH` and the like where the loss is wrong. */
  compile<I, C>(loss: BuiltLoss<I, C>, options?: CompileOptions<NoInfer<C>>): Promise<CompiledBuiltLoss<I, C>>;
  compile(loss: LossDefinition & { readonly [BUILT]?: never }, options?: CompileOptions): Promise<CompiledLoss>;
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
