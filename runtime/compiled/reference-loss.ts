/** Compiled losses on `reference`: the same checks, the same shape of result, float64 by evaluating the graph. */
import type { LosscError } from "../../dsl/errors.js";
import type { OwnedBuffer } from "../devices/buffer.js";
import type { DeviceBuffer, LossResult } from "../devices/device.js";
import { inMemory, narrowInto, type TypedArray, widen } from "../dtypes.js";
import { targetOutOfRange } from "../inputs/check.js";
import type { Source } from "../inputs/numbers.js";
import { evaluateReference, type ReferenceResult } from "../reference.js";
import { type Call, nonFiniteError } from "./call.js";
import { BaseCompiledLoss } from "./compiled-loss.js";

export class ReferenceCompiledLoss extends BaseCompiledLoss {
  protected zeros(length: number): Float64Array {
    return new Float64Array(length);
  }

  protected async execute(call: Call): Promise<LossResult> {
    const { inputs, shape, config, options, compiled } = call;
    const source = inputs.logits ?? inputs.policyLogprobs;
    const fail = (error: LosscError) => {
      if (options.inPlace && source) memoryOf(source).fill(0);
      return error;
    };
    // Targets in a buffer could not be checked before: what the buffer holds is only known when it is the call's turn.
    const targets = inputs.targets && Int32Array.from(numbers(inputs.targets));
    const bad = (inputs.logits && targets)?.findIndex((target) => target < 0 || target >= shape.vocab) ?? -1;
    if (bad >= 0) throw fail(targetOutOfRange(shape, bad, shape.vocab));
    const given: Record<string, Float64Array> = Object.create(null);
    for (const [name, from] of Object.entries(inputs.inputs)) given[name] = numbers(from);
    if (targets) given.target_tokens = Float64Array.from(targets);
    const result = inMemory(() =>
      evaluateReference(compiled.graph, {
        lengths: shape.lengths,
        groups: shape.groups,
        vocab: shape.vocab,
        logits: inputs.logits && numbers(inputs.logits),
        targetTokens: targets,
        policyLogprobs: inputs.policyLogprobs && numbers(inputs.policyLogprobs),
        inputs: given,
        config: config.scalars,
        skipMasked: options.skipMasked,
      }),
    );
    if (result.nonFinite && !options.propagate) {
      throw fail(nonFiniteError(compiled.plan.loss, shape, result.nonFinite.space, result.nonFinite.element));
    }
    const gradient = this.gradient(call, result);
    return {
      loss: result.loss,
      logprobs: result.logprobs,
      ...(inputs.logits ? { gradLogits: gradient } : { gradLogprobs: gradient as Float64Array | DeviceBuffer }),
      metrics: { "loss:sum": result.loss, ...result.metrics },
      outputs: result.outputs,
      sweeps: compiled.plan.sweeps,
      launches: 0,
    };
  }

  /** Where the caller wants the gradient: over the logits, beside them on the device, or in an array of its own. */
  private gradient({ inputs, options }: Call, { gradient }: ReferenceResult): TypedArray | OwnedBuffer {
    const source = inputs.logits ?? inputs.policyLogprobs;
    if (!source || (source.kind === "host" && !options.inPlace)) return gradient;
    if (source.kind === "host") {
      narrowInto(source.array, source.dtype, gradient);
      return source.array;
    }
    const target = options.inPlace ? source.buffer : this.host.makeBuffer(source.dtype, source.length);
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
