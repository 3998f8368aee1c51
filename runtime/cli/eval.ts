/** `lossc eval`: a loss, a case, its value and gradient. */
import type { LossDefinition } from "../../dsl/define-loss.js";
import type { CompiledLoss, ConfigValues, Device, LossInputs } from "../devices/device.js";
import { openDevice } from "../devices/index.js";
import { findLoss } from "../modules/find.js";
import { type EvalCase, isRecord, readCase } from "./case.js";
import { describeFailure } from "./failure.js";
import { withFaults } from "./faults.js";
import { readJson, write, writeJson } from "./stream.js";
import { usage } from "./usage.js";

export interface EvalOptions {
  readonly config?: ConfigValues;
  readonly device?: string;
  readonly metrics?: readonly string[];
  readonly cases?: true;
}

/** Reads one case from stdin, or with `cases` an array of them, and writes the results. */
export async function evaluate(reference: string | undefined, options: EvalOptions): Promise<void> {
  const { config } = options;
  if (options.cases) return evaluateCases(reference, config, options);
  if (reference === undefined) throw usage("a loss is needed: lossc eval LOSS < case.json; see lossc eval --help");
  const loss = await findLoss(reference);
  const given = await readJson();
  if (Array.isArray(given)) throw usage("stdin is an array: one case is an object; for several use --cases");
  const values = readCase(given);
  await using device = await openDevice(options.device);
  await writeJson(await new Evaluator(device, options.metrics).run(loss, config, values));
  await write("\n");
}

async function evaluateCases(
  otherLoss: string | undefined,
  otherConfig: ConfigValues | undefined,
  options: EvalOptions,
): Promise<void> {
  const entries = await readJson();
  if (!Array.isArray(entries)) throw usage('with --cases stdin is an array of { "loss", "config", "case" }');
  await using device = await openDevice(options.device);
  const evaluator = new Evaluator(device, options.metrics);
  await write("[");
  for (const [index, entry] of entries.entries()) {
    await write(index === 0 ? "\n" : ",\n");
    let result: unknown;
    try {
      if (!isRecord(entry)) throw usage(`entry ${index} of stdin is no object with loss, config and case`);
      const reference = entry.loss ?? otherLoss;
      if (typeof reference !== "string") throw usage(`entry ${index} of stdin names no loss`);
      const values = readCase(entry.case);
      const config = (entry.config ?? otherConfig) as ConfigValues | undefined;
      result = await withFaults(async () => evaluator.run(await findLoss(reference), config, values));
    } catch (error) {
      result = describeFailure(error);
    }
    await writeJson(result);
  }
  await write("\n]\n");
}

/** Runs cases on one device, and compiles each loss once. */
class Evaluator {
  readonly #compiled = new Map<LossDefinition, Promise<CompiledLoss>>();

  constructor(
    private readonly device: Device,
    private readonly metrics: readonly string[] | undefined,
  ) {}

  async run(loss: LossDefinition, config: ConfigValues | undefined, values: EvalCase): Promise<object> {
    const compiled = this.#compiled.get(loss) ?? this.device.compile(loss);
    this.#compiled.set(loss, compiled);
    const result = await (await compiled).forwardBackward(values as unknown as LossInputs, config, { metrics: this.metrics });
    return {
      device: this.device.name,
      sweeps: result.sweeps,
      loss: result.loss,
      logprobs: result.logprobs ?? values.policy_logprobs,
      grad_logits: result.gradLogits,
      grad_logprobs: result.gradLogprobs,
      grad_hidden: result.gradHidden,
      grad_head: result.gradHead,
      metrics: result.metrics,
      outputs: result.outputs,
    };
  }
}
