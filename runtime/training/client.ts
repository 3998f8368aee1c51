/** The training client: calls in the order of their submission, from data to the policy's gradient. */
import { isUnmade, UNMADE } from "../../dsl/definitions.js";
import { LosscError } from "../../dsl/errors.js";
import { isLossDefinition, type LossDefinition } from "../../dsl/index.js";
import { checkOptions, refuseUnknown } from "../compiled/call.js";
import { planOf } from "../compiled/plans.js";
import type { CompiledLoss, Device, FloatSource, LossResult } from "../devices/device.js";
import { isResizable } from "../devices/dtypes.js";
import { checkConfig } from "../inputs/config.js";
import { describe } from "../inputs/numbers.js";
import { builtinLoss } from "../modules/builtin.js";
import { Queue, throwIfAborted } from "../tasks/abort.js";
import { type AdamOptions, adamParameters } from "./adam.js";
import { type BareLoss, bareDefinition } from "./custom.js";
import { type Datum, type PackedData, packData } from "./data.js";
import { type PolicyBatch, rowsOf, type TrainingPolicy } from "./policy.js";
import { readState, writeState } from "./state-file.js";

/** Values of a loss's config that differ from their defaults. */
export type LossConfig = Readonly<Record<string, number | string | boolean>>;

/** How one call of the client is run; everything may be left out. */
export interface TrainingOptions {
  /** Sizes of the groups that the data fall into, in order. */
  readonly groups?: readonly number[];
  /** The metrics that are wanted beside `"loss:sum"`; left out: those that the loss gives unasked. */
  readonly metrics?: readonly string[];
  /** Ends the call with `ABORTED`; what has gathered is left as it was. */
  readonly signal?: AbortSignal;
  /** The response to a loss or gradient that is not finite: an error (the default), or the numbers are returned and gathered. */
  readonly nonFinite?: "error" | "propagate";
  /** Tokens of weight 0 are not looked at, and their logprobs are 0. */
  readonly skipMasked?: boolean;
}

/** Result for one datum: its logprobs, as long as its targets, and the outputs of the loss, per token an array, per sequence a number. */
export interface LossFnOutput {
  readonly logprobs: Float32Array;
  readonly [output: string]: Float32Array | number;
}

/** Result of a loss over data. */
export interface TrainingResult {
  /** Summed over all data, as the loss sums. */
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
  /** In the order of the data. */
  readonly lossFnOutputs: readonly LossFnOutput[];
}

/** The arguments of a call, read when it was made. */
interface Request {
  readonly loss: LossDefinition;
  readonly packed: PackedData;
  readonly scalars: Readonly<Record<string, number>>;
  readonly statics: LossConfig;
  readonly options: TrainingOptions;
}

/**
 * Trains a policy: losses over data, gradients that gather, steps of Adam.
 *
 * Calls run in the order in which they were made, so several may be submitted before the first has settled; a call that fails does not stop the next.
 * The data are read when the call is made. After any error the policy, the device and the gathered gradients are as they were before the call.
 */
export class TrainingClient {
  readonly policy: TrainingPolicy;
  readonly device: Device;
  readonly #queue = new Queue();
  readonly #compiled = new WeakMap<LossDefinition, Map<string, Promise<CompiledLoss>>>();

  /** @throws LosscError `USAGE` where policy or device is left out. */
  constructor(options: { readonly policy: TrainingPolicy; readonly device: Device }) {
    const { policy, device }: Partial<typeof options> = options ?? {};
    if (typeof policy !== "object" || policy === null)
      throw new LosscError("USAGE", `the policy of the client is ${describe(policy)}; a client takes { policy, device }`);
    if (typeof device?.compile !== "function")
      throw new LosscError(
        "USAGE",
        `the device of the client is ${describe(device)}; a client takes { policy, device }, the device from openDevice()`,
      );
    this.policy = policy as TrainingPolicy;
    this.device = device as Device;
  }

  /**
   * The loss, its metrics and the logprobs of the data; no gradient gathers. Without a loss it is `cross_entropy`.
   *
   * @throws LosscError `LOSS_UNKNOWN` for a name that no built-in loss has; `INPUT_…`, `CONFIG_…`, `TARGET_OUT_OF_RANGE`, `NON_FINITE`, `USAGE`,
   *   `ABORTED`, `DISPOSED`, `COMPILER_NOT_FOUND`, `COMPILE_FAILED`, `DEVICE_…`; what tracing the loss finds, such as `SPACE_MISMATCH`; and all that
   *   the policy throws.
   */
  async forward(
    data: readonly Datum[],
    lossFn: string | LossDefinition = "cross_entropy",
    config?: LossConfig,
    options?: TrainingOptions,
  ): Promise<TrainingResult> {
    return this.#submit(namedLoss(lossFn), data, config, options, false);
  }

  /**
   * The loss of the data, and its gradient added to what has gathered. `lossFn` is the name of a built-in loss, or what `defineLoss` made.
   *
   * @throws LosscError As {@link TrainingClient.forward}.
   */
  async forwardBackward(
    data: readonly Datum[],
    lossFn: string | LossDefinition,
    config?: LossConfig,
    options?: TrainingOptions,
  ): Promise<TrainingResult> {
    return this.#submit(namedLoss(lossFn), data, config, options, true);
  }

  /**
   * As {@link TrainingClient.forwardBackward}, with a loss of one's own: what `defineLoss` made, or a bare function `(policy, inputs)`, for which
   * every key of the data's `lossFnInputs` is an input. Both are compiled as the built-in losses are. Keep the function: one that is made anew for
   * each call is traced anew.
   *
   * @throws LosscError As {@link TrainingClient.forward}; `LOSS_UNKNOWN` for what is neither; `INPUT_MISSING` or `INPUT_DTYPE` where, for a bare
   *   function, the data have different keys, or arrays here and numbers there.
   */
  async forwardBackwardCustom(
    data: readonly Datum[],
    loss: LossDefinition | BareLoss,
    config?: LossConfig,
    options?: TrainingOptions,
  ): Promise<TrainingResult> {
    if (isLossDefinition(loss)) return this.#submit(loss, data, config, options, true);
    if (typeof loss !== "function") {
      throw new LosscError(
        "LOSS_UNKNOWN",
        `forwardBackwardCustom takes a loss that defineLoss made, or a function (policy, inputs) => loss${wayOut(loss)}`,
      );
    }
    return this.#submit(bareDefinition(loss, data), data, config, options, true);
  }

  /**
   * One step of Adam with the gathered gradients, which are zero afterwards.
   *
   * @throws LosscError `CONFIG_UNKNOWN` or `CONFIG_INVALID` for an option, and all that the policy throws: of a {@link ParameterSet}, `NON_FINITE`
   *   where the gradients' norm is infinite or NaN.
   */
  async optimStep(adam?: AdamOptions): Promise<void> {
    const parameters = adamParameters(adam);
    this.#checkPolicy("optimStep");
    return this.#queue.run(() => this.policy.optimStep(parameters));
  }

  /**
   * Writes weights, moments and step to a file in the format safetensors: aside first, then renamed, so that a file that was there stays whole until
   * the new one is. A symbolic link at `path` is followed, and the mode of a file that is replaced is kept. Beside what `state()` gives it takes some
   * 10 MB of memory for any size.
   *
   * @throws LosscError `USAGE` where the file cannot be written, `path` is of something else than a file, or `state()` of the policy gives something
   *   else, and all that the policy throws.
   */
  async saveState(path: string): Promise<void> {
    this.#checkPolicy("state");
    return this.#queue.run(async () => writeState(path, await this.policy.state()));
  }

  /**
   * Takes over what {@link TrainingClient.saveState} wrote, and drops the gathered gradients. A file that is damaged changes nothing.
   *
   * @throws LosscError `USAGE` where the file cannot be read or is damaged, and all that the policy throws (of a {@link ParameterSet}, `INPUT_…` for
   *   a state of another policy).
   */
  async loadState(path: string): Promise<void> {
    this.#checkPolicy("load");
    return this.#queue.run(async () => this.policy.load(await readState(path)));
  }

  /** Makes all checks that need no policy, and copies the caller's data. */
  #submit(loss: LossDefinition, data: readonly Datum[], config: LossConfig = {}, given: TrainingOptions = {}, backward: boolean) {
    this.#checkPolicy("forward");
    if (backward) this.#checkPolicy("backward");
    refuseUnknown(backward ? "forwardBackward" : "forward", given, OPTIONS);
    const { groups: sizes, ...others } = given;
    const { metrics } = checkOptions(others);
    planOf(loss, "f32", checkConfig(loss, config), metrics);
    const packed = packData(data, { inputs: loss.inputs, groups: sizes, double: this.device.name === "reference" });
    const options = { ...others, ...(metrics && { metrics }) };
    const request = { loss, packed, ...splitConfig(loss, config), options };
    return this.#queue.run(() => this.#run(request, backward), options.signal, loss.name);
  }

  async #run({ loss, packed, scalars, statics, options }: Request, backward: boolean): Promise<TrainingResult> {
    const { signal, nonFinite, skipMasked, metrics } = options;
    const { batch, targets, inputs } = packed;
    // An empty batch has no groups.
    const groups = packed.groups ?? (batch.lengths.length === 0 ? [] : undefined);
    const compiled = await this.#compile(loss, statics);
    const empty = batch.tokens.length === 0;
    const rows = empty ? noLogits(loss, inputs) : rowsOf(await this.#forward(batch, signal, loss.name));
    const result = await compiled.forwardBackward(
      { ...inputs, ...rows, target_tokens: targets, lengths: batch.lengths, ...(groups && { groups }) },
      scalars,
      {
        // Hidden states are not overwritten, since the policy may need them again.
        inPlace: "logits" in rows && isWritable(rows.logits),
        ...(signal && { signal }),
        ...(nonFinite && { nonFinite }),
        ...(skipMasked !== undefined && { skipMasked }),
        ...(metrics && { metrics }),
      },
    );
    try {
      const lossFnOutputs = outputsOf(result, compiled, batch.lengths);
      // From here on state changes, so the call is no longer aborted.
      throwIfAborted(signal, loss.name);
      const { gradLogits, gradHidden, gradHead } = result;
      if (backward && !empty && gradLogits) await this.policy.backward(gradLogits);
      else if (backward && gradHidden) await this.policy.backward(gradHidden, gradHead);
      return { loss: result.loss, metrics: result.metrics, lossFnOutputs };
    } finally {
      for (const made of [result.gradHidden, result.gradHead]) if (made && "dispose" in made) made.dispose();
    }
  }

  /** Methods that no call needs may be missing. */
  #checkPolicy(method: keyof TrainingPolicy): void {
    if (typeof this.policy[method] !== "function")
      throw new LosscError("USAGE", `the policy has no ${method}(), which this call needs; see TrainingPolicy for what it does`);
  }

  /** The output of the policy. A policy may react to the signal with an error of its own; the call is `ABORTED` all the same. */
  async #forward(batch: PolicyBatch, signal: AbortSignal | undefined, what: string): Promise<unknown> {
    try {
      return await this.policy.forward(batch, signal ? { signal } : {});
    } finally {
      throwIfAborted(signal, what);
    }
  }

  #compile(loss: LossDefinition, statics: LossConfig): Promise<CompiledLoss> {
    const variants = this.#compiled.get(loss) ?? new Map<string, Promise<CompiledLoss>>();
    this.#compiled.set(loss, variants);
    const key = JSON.stringify(Object.entries(statics).sort(([a], [b]) => (a < b ? -1 : 1)));
    let compiled = variants.get(key);
    if (!compiled) {
      compiled = this.device.compile(loss, { config: statics });
      variants.set(key, compiled);
      // A failure is not kept: what was missing, a compiler say, may be there the next time.
      compiled.catch(() => variants.delete(key));
    }
    return compiled;
  }
}

const OPTIONS = ["groups", "metrics", "signal", "nonFinite", "skipMasked"];

/** Logits of an empty batch, for which the policy is not called: of as many entries as an input has numbers for, or of one. */
function noLogits(loss: LossDefinition, inputs: Readonly<Record<string, ArrayLike<number> | number>>) {
  const columns = Object.entries(inputs).flatMap(([name, given]) =>
    loss.inputs[name]?.space === "entry" && typeof given !== "number" ? [given.length] : [],
  );
  return { logits: new Float32Array(0), vocab: columns[0] ?? 1 };
}

function namedLoss(lossFn: string | LossDefinition): LossDefinition {
  if (isLossDefinition(lossFn)) return lossFn;
  if (typeof lossFn !== "string")
    throw new LosscError("LOSS_UNKNOWN", `the loss is neither a built-in loss's name nor what defineLoss made${wayOut(lossFn)}`);
  return builtinLoss(lossFn, "defineLoss makes others");
}

const wayOut = (loss: unknown) => (isUnmade(loss) ? `: ${UNMADE}` : "");

/** Whether the gradient can be written over the logits, which saves its memory. */
function isWritable(logits: FloatSource): boolean {
  if (ArrayBuffer.isView(logits) && isResizable(logits)) return false;
  return !Array.isArray(logits) && !(logits instanceof Float64Array);
}

/**
 * Splits a config: numbers go to the kernels, other values specialise the loss when it is compiled. Unknown keys are passed on, and refused there.
 */
function splitConfig(loss: LossDefinition, config: LossConfig): { scalars: Record<string, number>; statics: LossConfig } {
  const isStatic = ([key]: [string, unknown]) => loss.config[key]?.kind === "static";
  const entries = Object.entries(config);
  return {
    scalars: Object.fromEntries(entries.filter((entry) => !isStatic(entry))) as Record<string, number>,
    statics: Object.fromEntries(entries.filter(isStatic)),
  };
}

/** Splits the results of the batch into results per datum. */
function outputsOf(result: LossResult, compiled: CompiledLoss, lengths: readonly number[]): LossFnOutput[] {
  const { logprobs } = result;
  if (logprobs === null) throw new LosscError("DEVICE_FAULT", `${compiled.loss.name} came back without logprobs`);
  const spaces = new Map(compiled.plan().results.outputs.map(({ key, space }) => [key, space]));
  let begin = 0;
  return lengths.map((length, i) => {
    const end = begin + length;
    const outputs = Object.entries(result.outputs).map(([key, values]) => {
      return [
        key,
        spaces.get(key) === "sequence" ? (values[i] as number) : Float32Array.from(values.subarray(begin, end)),
      ] as const;
    });
    const own = { ...Object.fromEntries(outputs), logprobs: Float32Array.from(logprobs.subarray(begin, end)) };
    begin = end;
    return own;
  });
}
