/** Compiled losses on `reference`: the same checks, the same shape of result, float64 by evaluating the graph. */
import type { LogitsDtype } from "../../codegen/loss-program.js";
import type { LosscError } from "../../dsl/errors.js";
import type { OwnedBuffer } from "../devices/buffer.js";
import type { LossResult } from "../devices/device.js";
import { inMemory, narrowInto, type TypedArray, widen } from "../devices/dtypes.js";
import { gradientsOf, logitsOf } from "../head/reference.js";
import { checkStill, targetOutOfRange } from "../inputs/check.js";
import type { Source } from "../inputs/numbers.js";
import { evaluateReference } from "../reference.js";
import { type Call, gradientResult, likeGiven, nonFiniteError } from "./call.js";
import { BaseCompiledLoss } from "./compiled-loss.js";

export class ReferenceCompiledLoss extends BaseCompiledLoss {
  protected zeros(length: number): Float64Array {
    return new Float64Array(length);
  }

  protected async execute(call: Call): Promise<LossResult> {
    const { inputs, shape, config, options, compiled } = call;
    const { head, source } = inputs;
    checkStill(inputs, call.gradHead);
    const fail = (error: LosscError) => {
      if (options.inPlace) memoryOf(source).fill(0);
      return error;
    };
    // Targets in a buffer could not be checked before: what the buffer holds is only known when it is the call's turn.
    const targets = inputs.targets && Int32Array.from(numbers(inputs.targets));
    const bad =
      (inputs.from === "policy_logprobs" ? null : targets)?.findIndex((target) => target < 0 || target >= shape.vocab) ?? -1;
    if (bad >= 0) throw fail(targetOutOfRange(shape, bad, shape.vocab));
    const given: Record<string, Float64Array> = Object.create(null);
    for (const [name, from] of Object.entries(inputs.inputs)) given[name] = numbers(from);
    if (targets) given.target_tokens = Float64Array.from(targets);
    const states = head && { hidden: numbers(head.hidden), head: numbers(head.head), width: head.width };
    const result = inMemory(() =>
      evaluateReference(compiled.program, {
        lengths: shape.lengths,
        groups: shape.groups,
        vocab: shape.vocab,
        logits: states ? logitsOf(states.hidden, states.head, states.width) : inputs.logits && numbers(inputs.logits),
        targetTokens: targets,
        policyLogprobs: inputs.policyLogprobs && numbers(inputs.policyLogprobs),
        inputs: given,
        config: config.scalars,
        skipMasked: options.skipMasked,
      }),
    );
    if (result.nonFinite && !options.propagate) {
      throw fail(nonFiniteError(compiled.plan.name, shape, result.nonFinite.space, result.nonFinite.element));
    }
    const made = states && gradientsOf(result.gradient, states.hidden, states.head, states.width);
    for (const [space, values] of [
      ["token", made?.gradHidden],
      ["head", made?.gradHead],
    ] as const) {
      const bad = (options.propagate ? null : values)?.findIndex((x) => !Number.isFinite(x)) ?? -1;
      if (bad >= 0) throw fail(nonFiniteError(compiled.plan.name, shape, space, Math.floor(bad / (states?.width ?? 1))));
    }
    return {
      loss: result.loss,
      logprobs: result.logprobs,
      ...gradientResult(inputs, this.placed(made?.gradHidden ?? result.gradient, source, options.inPlace)),
      ...(made && head && { gradHead: this.gradHead(made.gradHead, call.gradHead ?? head.head, call.gradHead !== null) }),
      metrics: { "loss:sum": result.loss, ...result.metrics },
      outputs: result.outputs,
      sweeps: compiled.plan.sweeps,
      launches: 0,
    };
  }

  protected free(): void {}

  protected override accumulates(dtype: LogitsDtype): readonly (LogitsDtype | "f64")[] {
    return [...super.accumulates(dtype), "f64"];
  }

  private gradHead(values: Float64Array, onto: Source, adds: boolean): LossResult["gradHead"] & {} {
    const sum = adds ? numbers(onto).map((held, i) => held + (values[i] as number)) : values;
    return likeGiven(onto, this.placed(sum, onto, adds));
  }

  /** A gradient where the caller wants it: over its own numbers, beside them on the device, or in an array of its own. */
  private placed(gradient: Float64Array, source: Source, onto: boolean): TypedArray | OwnedBuffer {
    if (source.kind === "host" && !onto) return gradient;
    if (source.kind === "host") {
      narrowInto(source.array, source.dtype, gradient);
      return source.array;
    }
    const target = onto ? source.buffer : this.host.makeBuffer(source.dtype, source.length);
    narrowInto(target.memory as TypedArray, target.dtype, gradient);
    return target;
  }
}

function memoryOf(source: Source): TypedArray {
  return source.kind === "host" ? source.array : (source.buffer.memory as TypedArray);
}

function numbers(source: Source): Float64Array {
  return widen(memoryOf(source), source.dtype);
}
