/** The base of compiled losses on all devices: checks before a call, and the order of calls. */
import type { CompiledPlan } from "../../codegen/compile.js";
import type { Plan } from "../../codegen/loss-plan.js";
import type { LogitsDtype } from "../../codegen/loss-program.js";
import { LosscError } from "../../dsl/errors.js";
import type { LossDefinition } from "../../dsl/index.js";
import { isPerEntry } from "../../dsl/spaces.js";
import type { OwnedBuffer } from "../devices/buffer.js";
import type {
  CompiledLoss,
  CompileOptions,
  ConfigValues,
  Device,
  ForwardBackwardOptions,
  LossInputs,
  LossResult,
} from "../devices/device.js";
import { isLogitsDtype, makeArray, type TypedArray } from "../devices/dtypes.js";
import { checkGradHead } from "../head/check.js";
import { type CheckedInputs, checkHome, checkInputs } from "../inputs/check.js";
import { type CheckedConfig, checkConfig } from "../inputs/config.js";
import { describe, type Source } from "../inputs/numbers.js";
import { checkOverlap } from "../inputs/overlap.js";
import { type Queue, throwIfAborted } from "../tasks/abort.js";
import type { MakeBuffer } from "./bind.js";
import { type Call, checkInPlace, checkOptions, gradientResult, likeGiven, refuseUnknown } from "./call.js";
import { groupSizeOf, planOf } from "./plans.js";

/** The part of a device that a compiled loss uses. */
export interface LossHost {
  readonly device: Device;
  readonly queue: Queue;
  /** `DISPOSED` where the device is. */
  alive(): void;
  readonly makeBuffer: MakeBuffer;
}

const OPTIONS = ["dtype", "vocab", "config"];

/** Inputs that have entries and were not given: no memory holds their rows, so that a plan of its own has their defaults. */
function absentRows(loss: LossDefinition, { from, inputs }: CheckedInputs): string[] {
  if (from === "policy_logprobs") return [];
  return Object.entries(loss.inputs).flatMap(([name, { space }]) => (isPerEntry(space) && !(name in inputs) ? [name] : []));
}

function checkDtype(dtype: unknown): void {
  if (!isLogitsDtype(dtype))
    throw new LosscError("INPUT_DTYPE", `the dtype of logits is "f32", "bf16" or "f16", not ${describe(dtype)}`);
}

export abstract class BaseCompiledLoss implements CompiledLoss {
  readonly #dtype: LogitsDtype;
  readonly #config: ConfigValues | undefined;
  /** Calls that have not settled. */
  #calls = 0;
  #disposed = false;

  constructor(
    protected readonly host: LossHost,
    readonly loss: LossDefinition,
    options: CompileOptions,
  ) {
    refuseUnknown("compile", options, OPTIONS);
    const { dtype = "f32", vocab, config } = options;
    checkDtype(dtype);
    if (vocab !== undefined && (!Number.isSafeInteger(vocab) || vocab < 1)) {
      throw new LosscError("INPUT_LENGTH", `vocab is ${describe(vocab)}; it is a whole number ≥ 1`);
    }
    this.#dtype = dtype;
    this.#config = config;
    // Tracing and planning are pure and take milliseconds; their errors belong to compile(), not to the first call.
    this.plan();
  }

  get device(): Device {
    return this.host.device;
  }

  plan(dtype: LogitsDtype | null = this.#dtype): Plan {
    if (dtype !== null) checkDtype(dtype);
    return planOf(this.loss, dtype, checkConfig(this.loss, this.#config)).plan;
  }

  /** The plan and constants that `compile` was asked for. */
  protected get compiled(): CompiledPlan {
    return planOf(this.loss, this.#dtype, checkConfig(this.loss, this.#config));
  }

  async forwardBackward(inputs: LossInputs, config?: ConfigValues, options: ForwardBackwardOptions = {}): Promise<LossResult> {
    // All of this happens before the first await: mistakes are found, and plain arrays copied, when the call is made.
    this.host.alive();
    this.alive();
    const call = this.check(inputs, config, options);
    throwIfAborted(call.options.signal, this.what);
    this.#calls++;
    try {
      return await this.host.queue.run(
        // Without tokens all results are 0, although the mean of nothing would be NaN.
        () => (call.shape.tokens > 0 ? this.execute(call) : this.empty(call)),
        call.options.signal,
        this.what,
      );
    } finally {
      if (--this.#calls === 0 && this.#disposed) this.free();
    }
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (this.#calls === 0) this.free();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  private alive(): void {
    if (!this.#disposed) return;
    throw new LosscError(
      "DISPOSED",
      `the compiled loss "${this.loss.name}" has been disposed of; compile it again with device.compile()`,
    );
  }

  /** Frees what only this loss uses. Called once, when no call runs any more. */
  protected abstract free(): void;

  /** For messages. */
  protected get what(): string {
    return `forwardBackward of "${this.loss.name}"`;
  }

  /** Runs a call; when this begins, all earlier calls on the device have ended. */
  protected abstract execute(call: Call): Promise<LossResult>;

  /** A zeroed array of the type that this device's results have. */
  protected abstract zeros(length: number): Float32Array | Float64Array;

  /** The result of a batch without tokens. */
  private async empty(call: Call): Promise<LossResult> {
    const { inputs, shape, options, compiled } = call;
    const { plan } = compiled;
    const { head, source } = inputs;
    /** Zeros, where the caller's own numbers lie and in their dtype. */
    const nothing = (of: Source, onto: boolean): TypedArray | OwnedBuffer => {
      if (of.kind === "device") return onto ? of.buffer : this.host.makeBuffer(of.dtype, of.length);
      if (onto) return of.array;
      return plan.logits && plan.logits !== "f32" && this.zeros(0) instanceof Float32Array
        ? makeArray(plan.logits, of.length)
        : this.zeros(of.length);
    };
    const gradHead = (of: Source) => likeGiven(of, nothing(of, of === call.gradHead));
    const outputs = plan.results.outputs.map(
      ({ key, space }) => [key, this.zeros(space === "token" ? 0 : shape.lengths.length)] as const,
    );
    return {
      loss: 0,
      logprobs: plan.logits ? this.zeros(0) : null,
      ...gradientResult(inputs, nothing(source, options.inPlace)),
      ...(head && { gradHead: gradHead(call.gradHead ?? head.head) }),
      metrics: { "loss:sum": 0, ...Object.fromEntries(plan.results.metrics.map(({ key }) => [key, 0])) },
      outputs: Object.fromEntries(outputs),
      sweeps: plan.sweeps,
      launches: 0,
    };
  }

  private check(given: LossInputs, values: ConfigValues | undefined, options: ForwardBackwardOptions): Call {
    const checkedOptions = checkOptions(options);
    const config = checkConfig(this.loss, this.#config, values);
    const inputs = checkInputs(this.loss, given, this.device, this.groupSize(config, checkedOptions.metrics));
    const { from, source, head } = inputs;
    const dtype = from === "policy_logprobs" ? null : this.dtypeOf(source, head?.head);
    if (checkedOptions.inPlace) checkInPlace(source, from, dtype ?? "f32");
    const hostMemory = this.device.native?.hostMemory ?? true;
    const gradHead = checkGradHead(options.gradHead, head, this.accumulates(dtype ?? "f32"), hostMemory);
    if (gradHead?.kind === "device") checkHome("gradHead", gradHead, this.device);
    checkOverlap(this.loss, inputs, checkedOptions.inPlace, gradHead);
    return {
      gradHead,
      compiled: planOf(this.loss, dtype, config, checkedOptions.metrics, absentRows(this.loss, inputs)),
      shape: inputs.shape,
      inputs,
      config,
      options: checkedOptions,
    };
  }

  private groupSize(config: CheckedConfig, metrics: readonly string[] | undefined): number {
    return groupSizeOf(this.loss, planOf(this.loss, this.#dtype, config, metrics).plan);
  }

  /** Dtypes of what the gradient of a head can be added to. */
  protected accumulates(dtype: LogitsDtype): readonly (LogitsDtype | "f64")[] {
    return [...new Set([dtype, "f32" as const])];
  }

  /** Numbers without a dtype take that of the numbers beside them, or the dtype given to `compile`. */
  private dtypeOf(...sources: readonly (Source | undefined)[]): LogitsDtype {
    const given = sources.filter((source) => source !== undefined);
    const strange = given.find(({ kind, dtype }) => kind === "device" && !isLogitsDtype(dtype));
    if (strange)
      throw new LosscError("INPUT_DTYPE", `what the policy gives is a device buffer of ${strange.dtype}; it is f32, bf16 or f16`);
    return given.map(({ dtype }) => dtype).find(isLogitsDtype) ?? this.#dtype;
  }
}
