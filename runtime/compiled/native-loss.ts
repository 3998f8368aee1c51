/** Compiled losses on the devices of the addon: plan → kernel text → binary → one native call. */
import type { CompiledPlan } from "../../codegen/compile.js";
import { emitText, type TargetName } from "../../codegen/emit/index.js";
import type { Plan } from "../../codegen/loss-plan.js";
import type { LogitsDtype } from "../../codegen/loss-program.js";
import { NO_FAULT, STATUS } from "../../codegen/schedule/plan.js";
import type { LosscError } from "../../dsl/errors.js";
import type { LossDefinition } from "../../dsl/index.js";
import { runCommands } from "../addon/addon.js";
import type { Command, NativeBuffer, NativeDevice } from "../addon/native.js";
import type { CompileOptions, LossResult } from "../devices/device.js";
import { leasesOf, type ModuleLease } from "../devices/modules.js";
import { headStageOf } from "../head/prepare.js";
import { HEAD } from "../head/stage.js";
import { checkStill, targetOutOfRange } from "../inputs/check.js";
import { BusyPoll } from "../tasks/busy-poll.js";
import type { Arenas } from "./arena.js";
import { type Binding, bind } from "./bind.js";
import { type Call, gradientResult, likeGiven, nonFiniteError } from "./call.js";
import { BaseCompiledLoss, type LossHost } from "./compiled-loss.js";
import { Executable } from "./executable.js";

/** The part of an addon's device that a compiled loss uses. */
export interface NativeLossHost extends LossHost {
  readonly native: NativeDevice;
  readonly target: TargetName;
  /** Architecture that texts are emitted for. */
  readonly architecture: string;
  readonly arenas: Arenas;
  lease(text: ReturnType<typeof emitText>, signal?: AbortSignal): Promise<ModuleLease>;
}

export class NativeCompiledLoss extends BaseCompiledLoss {
  readonly #executables = new Map<Plan, Map<number, Executable>>();
  readonly #leases = leasesOf(this);
  readonly #poll = new BusyPoll();

  constructor(
    protected override readonly host: NativeLossHost,
    loss: LossDefinition,
    options: CompileOptions,
  ) {
    super(host, loss, options);
  }

  /** Takes kernels for rows of that many entries that were made elsewhere: those of a unit that several losses share. `lease` is this loss's own. */
  seed(dtype: LogitsDtype | null, vocab: number, executable: Executable, lease: ModuleLease): void {
    this.#leases.add(lease);
    this.executablesOf(this.plan(dtype)).set(vocab, executable);
  }

  /** Makes the kernels for a vocabulary ready before the first call. */
  async prepare(vocab: number): Promise<void> {
    await this.executable(this.compiled, vocab);
  }

  protected zeros(length: number): Float32Array {
    return new Float32Array(length);
  }

  protected async execute(call: Call): Promise<LossResult> {
    const { signal } = call.options;
    const executable = await this.executable(call.compiled, call.shape.vocab, signal);
    const head = await headStageOf(call, executable.plan, this.host.device, this.host.native);
    return this.host.arenas.use(async (arena) => {
      // From here to the addon, which takes addresses, nothing waits.
      checkStill(call.inputs, call.gradHead);
      const binding = bind(call, executable, arena, this.host.makeBuffer, head);
      try {
        await this.run(binding.program, signal);
        const result = await this.result(call, binding);
        if (head) await this.run(head.settle(binding));
        return result;
      } catch (error) {
        binding.discard();
        throw error;
      }
    });
  }

  private run(program: readonly Command[], signal?: AbortSignal): Promise<void> {
    return this.#poll.wait(runCommands(this.host.native, program, signal, this.what));
  }

  private async result(call: Call, binding: Binding): Promise<LossResult> {
    const { plan } = call.compiled;
    const number = (id: number) => binding.view(id)[0] as number;
    const loss = number(plan.results.loss);
    const problem = gone(call) ?? judge(plan, call, binding.view(plan.results.status) as Uint32Array, loss);
    if (problem) {
      await this.wipe(call);
      throw problem;
    }
    const { logprobs } = plan.results;
    return {
      loss,
      logprobs: logprobs === null ? null : (binding.kept(logprobs) as Float32Array),
      ...(await this.gradient(call, binding)),
      metrics: {
        "loss:sum": loss,
        ...Object.fromEntries(plan.results.metrics.map(({ key, buffer }) => [key, number(buffer)])),
      },
      outputs: Object.fromEntries(plan.results.outputs.map(({ key, buffer }) => [key, binding.kept(buffer) as Float32Array])),
      sweeps: plan.sweeps,
      launches: binding.launches,
    };
  }

  private async gradient(call: Call, binding: Binding): Promise<Partial<LossResult>> {
    const { policyLogprobs, head } = call.inputs;
    if (head) {
      const { gradHead } = call;
      const given = gradHead && (gradHead.kind === "device" ? gradHead.buffer : gradHead.array);
      return {
        ...gradientResult(call.inputs, binding.gradient(HEAD.gradHidden)),
        gradHead: likeGiven(gradHead ?? head.head, given ?? binding.gradient(HEAD.gradHead)),
      };
    }
    const computed = binding.gradient(call.compiled.plan.results.gradient);
    if (!call.options.inPlace || !policyLogprobs) return gradientResult(call.inputs, computed);
    const values = computed as Float32Array;
    if (policyLogprobs.kind === "device") {
      if (values.length > 0)
        await this.run([
          {
            kind: "write",
            to: policyLogprobs.buffer.memory as NativeBuffer,
            offset: 0,
            from: values,
          },
        ]);
      return { gradLogprobs: policyLogprobs.buffer };
    }
    policyLogprobs.array.set(values);
    return { gradLogprobs: policyLogprobs.array as Float32Array };
  }

  /** Zeroes what the caller gave to be overwritten, so that no part of a gradient stays behind. */
  private async wipe(call: Call): Promise<void> {
    const { source, from } = call.inputs;
    if (!call.options.inPlace || source.length === 0) return;
    if (source.kind === "device") {
      const { memory, byteLength } = source.buffer;
      await this.run([{ kind: "fill", to: memory, offset: 0, bytes: byteLength, value: 0 }]);
    } else if (this.host.native.hostMemory && from !== "policy_logprobs") {
      // Gigabytes take a while: not on the event loop.
      const { array } = source;
      await this.run([{ kind: "fill", to: array, offset: 0, bytes: array.byteLength, value: 0 }]);
    } else if (source.array.length > 0) source.array.fill(0);
  }

  protected free(): void {
    this.#executables.clear();
    this.#leases.release();
  }

  private executablesOf(plan: Plan): Map<number, Executable> {
    let perVocab = this.#executables.get(plan);
    if (!perVocab) {
      perVocab = new Map();
      this.#executables.set(plan, perVocab);
    }
    return perVocab;
  }

  private async executable({ plan }: CompiledPlan, vocab: number, signal?: AbortSignal): Promise<Executable> {
    const perVocab = this.executablesOf(plan);
    let executable = perVocab.get(vocab);
    if (!executable) {
      const text = emitText(plan, {
        target: this.host.target,
        architecture: this.host.architecture,
        vocab,
      });
      const lease = await this.host.lease(text, signal);
      this.#leases.add(lease);
      executable = new Executable(plan, lease.module);
      perVocab.set(vocab, executable);
    }
    return executable;
  }
}

/** The error of caller's memory that was detached while the kernels ran: results of it are worthless, and the gradient has no place. */
function gone({ inputs, gradHead }: Call): LosscError | null {
  try {
    checkStill(inputs, gradHead);
    return null;
  } catch (error) {
    return error as LosscError;
  }
}

/** The error of a run's status words: the first bad target, else the first non-finite value. */
function judge(plan: Plan, { shape, options }: Call, status: Uint32Array, loss: number): LosscError | null {
  const word = (at: number) => status[at] as number;
  if (word(STATUS.index) !== NO_FAULT) return targetOutOfRange(shape, word(STATUS.index), shape.vocab);
  if (options.propagate) return null;
  for (const space of ["token", "sequence", "group", "head"] as const) {
    if (word(STATUS[space]) !== NO_FAULT) return nonFiniteError(plan.name, shape, space, word(STATUS[space]));
  }
  return Number.isFinite(loss) ? null : nonFiniteError(plan.name, shape, "batch", 0);
}
