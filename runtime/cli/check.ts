/** `lossc check`: is the gradient the derivative of the loss, and do all devices agree? */
import { randomInt } from "node:crypto";
import { compilePlan } from "../../codegen/compile.js";
import type { LossDefinition } from "../../dsl/define-loss.js";
import { LosscError } from "../../dsl/errors.js";
import type { ConfigValues } from "../devices/device.js";
import { openDevice } from "../devices/index.js";
import { checkConfig } from "../inputs/config.js";
import { findLoss } from "../modules/find.js";
import { evaluateReference, type ReferenceInput } from "../reference.js";
import { type Batch, randomBatch } from "./check-inputs.js";
import { parseConfig } from "./config.js";
import { findDevices } from "./devices.js";
import { finiteDifferences } from "./differences.js";
import { table, write, writeJson } from "./stream.js";

export interface CheckOptions {
  readonly config?: string;
  readonly device?: readonly string[];
  readonly seed?: number;
  readonly json?: true;
}

/** The worst case of one comparison. */
interface Comparison {
  readonly device: string;
  readonly compared:
    | "gradient with finite differences"
    | "loss with reference"
    | "logprobs with reference"
    | "gradient with reference";
  /** Where the worst case is: the token, and for a gradient the entry of its row. */
  readonly token: number | null;
  readonly entry: number | null;
  readonly value: number;
  readonly wanted: number;
  /** |value − wanted| in units of what is tolerated: up to 1 is well. */
  readonly error: number;
  readonly ok: boolean;
}

/** What is tolerated, relative to the value wanted and to the scale of its kind. Finite differences lose half of float64's digits. */
const DIFFERENCES = { relative: 1e-6, ofScale: 1e-6 };
const FLOAT32 = { relative: 5e-5, ofScale: 3e-6 };

export async function check(reference: string, options: CheckOptions): Promise<void> {
  const loss = await findLoss(reference);
  const config = checkConfig(loss, parseConfig(options.config));
  const seed = options.seed ?? randomInt(2 ** 32);
  const batch = randomBatch(loss, seed);
  const names =
    options.device ??
    (await findDevices()).devices
      .filter(({ available, device }) => available && device !== "reference")
      .map(({ device }) => device);

  const { graph } = compilePlan({ loss, logits: "f32", statics: config.statics });
  const input = referenceInput(batch, config.scalars);
  const outputs = new Map(graph.summands.map((summand, i) => [`summand ${i}`, summand]));
  const wanted = evaluateReference({ ...graph, outputs }, input);
  if (wanted.nonFinite) {
    const { space, element } = wanted.nonFinite;
    throw new LosscError(
      "NON_FINITE",
      `on the random inputs of seed ${seed} the loss or its gradient is not finite at ${space} ${element}: try another seed`,
    );
  }
  const comparisons = [
    worst(
      "reference",
      "gradient with finite differences",
      wanted.gradient,
      finiteDifferences(graph, input),
      DIFFERENCES,
      batch.vocab,
    ),
  ];
  for (const name of names)
    comparisons.push(...(await onDevice(name, loss, { ...config.scalars, ...config.statics }, batch, wanted)));

  const ok = comparisons.every((comparison) => comparison.ok);
  if (!ok) process.exitCode = 1;
  if (options.json) {
    await writeJson({ loss: loss.name, seed, ok, comparisons });
    return write("\n");
  }
  const rows = comparisons.map(({ device, compared, token, entry, value, wanted: right, error, ok: well }) => {
    const place = token === null ? "" : `token ${token}${entry === null ? "" : `, entry ${entry}`}: `;
    return [well ? "ok" : "WRONG", device, compared, error.toPrecision(2), `${place}${value}, wanted ${right}`];
  });
  const verdict = ok ? "everything is within tolerance" : "NOT everything is within tolerance";
  await write(
    `${loss.name}, seed ${seed}: ${verdict}\n${table([["", "device", "compared", "error", "worst case (an error of 1 is just tolerated)"], ...rows])}`,
  );
}

function referenceInput(
  batch: Batch,
  config: Readonly<Record<string, number>>,
): ReferenceInput & { readonly logits: Float64Array } {
  return {
    lengths: batch.lengths,
    groups: batch.groups,
    vocab: batch.vocab,
    logits: Float64Array.from(batch.logits),
    targetTokens: Int32Array.from(batch.target_tokens),
    policyLogprobs: null,
    inputs: Object.fromEntries(
      Object.entries(batch.inputs).map(([name, data]) => [
        name,
        typeof data === "number" ? Float64Array.of(data) : Float64Array.from(data),
      ]),
    ),
    config,
    skipMasked: false,
  };
}

async function onDevice(
  name: string,
  loss: LossDefinition,
  config: ConfigValues,
  batch: Batch,
  wanted: ReturnType<typeof evaluateReference>,
): Promise<Comparison[]> {
  await using device = await openDevice(name);
  const { inputs, ...own } = batch;
  // A loss may be the small rest of large summands, or move much with every logit: what is lost there is no mistake.
  const scale = [wanted.gradient, ...Object.values(wanted.outputs)].reduce((sum, values) => sum + absolutes(values), 0);
  const compiled = await device.compile(loss, { vocab: batch.vocab, config });
  const result = await compiled.forwardBackward({ ...inputs, ...own, logits: Float32Array.from(batch.logits) });
  const logprobs = result.logprobs as ArrayLike<number>;
  const gradient = result.gradLogits as ArrayLike<number>;
  return [
    worst(device.name, "loss with reference", [result.loss], [[wanted.loss]], FLOAT32, null, scale),
    worst(device.name, "logprobs with reference", logprobs, [wanted.logprobs as Float64Array], FLOAT32, 1),
    worst(device.name, "gradient with reference", gradient, [wanted.gradient], FLOAT32, batch.vocab),
  ];
}

function absolutes(values: Float64Array): number {
  return values.reduce((sum, value) => sum + Math.abs(value), 0);
}

/** The worst of the values; each may be near any of its alternatives. `width`: entries to a token, null for a scalar. */
function worst(
  device: string,
  compared: Comparison["compared"],
  values: ArrayLike<number>,
  alternatives: readonly ArrayLike<number>[],
  tolerance: { readonly relative: number; readonly ofScale: number },
  width: number | null,
  scale = Math.max(...Array.from(alternatives[0] as ArrayLike<number>, Math.abs)),
): Comparison {
  const slack = tolerance.ofScale * Math.max(1e-3, scale);
  let found: Comparison | undefined;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    const [error, wanted] = alternatives
      .map((alternative) => alternative[i] as number)
      .map((right) => [Math.abs(value - right) / (tolerance.relative * Math.abs(right) + slack), right] as const)
      .reduce((best, other) => (other[0] < best[0] ? other : best));
    // A NaN is worse than everything.
    if (found !== undefined && !Number.isNaN(error) && error <= found.error) continue;
    const token = width === null ? null : Math.floor(i / width);
    const entry = width === null || width === 1 ? null : i % width;
    found = { device, compared, token, entry, value, wanted, error, ok: error <= 1 };
    if (Number.isNaN(error)) break;
  }
  return found as Comparison;
}
