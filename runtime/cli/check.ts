/** `lossc check`: is the gradient the derivative of the loss, and do all devices agree, on random and on nasty inputs? */
import { randomInt } from "node:crypto";
import { compilePlan } from "../../codegen/compile.js";
import type { Program } from "../../codegen/program.js";
import { LosscError } from "../../dsl/errors.js";
import { nearest } from "../../dsl/nearest.js";
import type { CompiledLoss, ConfigValues } from "../devices/device.js";
import { openDevice } from "../devices/index.js";
import { checkConfig } from "../inputs/config.js";
import { findLoss } from "../modules/find.js";
import type { ReferenceResult } from "../reference.js";
import { casesOf } from "./check-cases.js";
import { type CompareOptions, type Comparison, countsOf, notFinite, outcomeOf, type Tolerance, worst } from "./check-compare.js";
import { type Expected, expectedOf, referenceInput } from "./check-expected.js";
import type { Ranges } from "./check-inputs.js";
import { reportText } from "./check-report.js";
import { findDevices } from "./devices.js";
import { finiteDifferences } from "./differences.js";
import { write, writeJson } from "./stream.js";

export interface CheckOptions {
  readonly config?: ConfigValues;
  readonly device?: readonly string[];
  readonly seed?: number;
  readonly range?: Ranges;
  readonly json?: true;
}

/** Tolerances, relative to the value wanted and to the scale of its kind. Finite differences lose half of float64's digits. */
const DIFFERENCES: Tolerance = { relative: 1e-6, ofScale: 1e-6 };
const FLOAT32: Tolerance = { relative: 5e-5, ofScale: 3e-6 };

/** Exit codes. A comparison that could not be made has one of its own, so that it does not pass for one that went well. */
const EXIT = { "within tolerance": 0, wrong: 1, "not comparable": 3 } as const;

/** Prints the comparisons, and gives the exit code. */
export async function check(reference: string, options: CheckOptions): Promise<0 | 1 | 3> {
  const loss = await findLoss(reference);
  const config = checkConfig(loss, options.config);
  const seed = options.seed ?? randomInt(2 ** 32);
  const { program, plan } = compilePlan({ loss, logits: "f32", statics: config.statics });
  const ranges = options.range ?? new Map();
  for (const name of ranges.keys()) {
    if (Object.hasOwn(loss.inputs, name)) continue;
    const known = Object.keys(loss.inputs);
    throw new LosscError(
      "INPUT_UNKNOWN",
      `--range: ${loss.name} has no input "${name}"${nearest(name, known) || `; it has ${known.join(", ") || "none"}`}`,
    );
  }
  const cases = casesOf(loss, { seed, groupSize: plan.groupSize, scalars: config.scalars, ranges });
  const expected = cases.map((x) => expectedOf(program, x, config.scalars));
  const [first] = expected as [Expected];
  if (first.wanted.nonFinite) {
    const { space, element } = first.wanted.nonFinite;
    throw new LosscError(
      "NON_FINITE",
      `on the random inputs of seed ${seed} the loss or its gradient is not finite at ${space} ${element}: try another seed, or say where an input lies, --range prob=0.1:0.9 or label=0/1, for they are normal numbers of either sign`,
    );
  }

  const comparisons = expected.map((x) => withDifferences(program, x, config.scalars));
  for (const name of options.device ?? (await available())) {
    await using device = await openDevice(name);
    for (const x of expected) {
      const compiled = await device.compile(loss, { vocab: x.batch.vocab, config: { ...config.scalars, ...config.statics } });
      comparisons.push(...(await onDevice(compiled, x)));
    }
  }

  const outcome = outcomeOf(comparisons);
  if (options.json) {
    await writeJson({ loss: loss.name, seed, outcome, counts: countsOf(comparisons), comparisons });
    await write("\n");
  } else await write(reportText(loss.name, seed, comparisons));
  return EXIT[outcome];
}

async function available(): Promise<string[]> {
  const { devices } = await findDevices();
  return devices.filter(({ available, device }) => available && device !== "reference").map(({ device }) => device);
}

/** The gradient of `reference` against the slope of the loss there. */
function withDifferences(
  program: Program,
  { name, batch, wanted, undecided }: Expected,
  scalars: Readonly<Record<string, number>>,
): Comparison {
  const what = { case: name, device: "reference", compared: "gradient with finite differences" } as const;
  if (wanted.nonFinite) return notFinite(what, wanted.gradient.length, whereNotFinite(wanted));
  const { values, kinks, unsettled } = finiteDifferences(program, referenceInput(batch, scalars));
  return worst(wanted.gradient, values, {
    ...what,
    tolerance: DIFFERENCES,
    width: batch.vocab,
    skip: (i) => kinks.has(i),
    undecided: (i) => unsettled.has(i) || undecided.gradient.has(i),
    why: ": no derivative to compare with",
  });
}

function whereNotFinite({ nonFinite }: ReferenceResult): string {
  return `the loss or its gradient is not finite at ${nonFinite?.space} ${nonFinite?.element}, and cannot be`;
}

async function onDevice(compiled: CompiledLoss, expected: Expected): Promise<Comparison[]> {
  const { batch, wanted, gradients, losses, undecided, floor = 0 } = expected;
  const { inputs, ...own } = batch;
  const base = { case: expected.name, device: compiled.device.name, tolerance: FLOAT32 } satisfies Partial<CompareOptions>;
  const given = { ...inputs, ...own, logits: Float32Array.from(batch.logits) };
  const result = await compiled.forwardBackward(given, {}, { nonFinite: "propagate" });
  const gradient = result.gradLogits as ArrayLike<number>;
  const logprobs = worst(result.logprobs as ArrayLike<number>, [wanted.logprobs as Float64Array], {
    ...base,
    compared: "logprobs with reference",
    width: 1,
  });
  if (wanted.nonFinite) {
    const agrees = !Number.isFinite(result.loss) || !Array.from(gradient).every(Number.isFinite);
    const note = `${whereNotFinite(wanted)}: ${agrees ? "so it is here" : "rounding makes it finite here"}`;
    const compared = ["loss with reference", "gradient with reference"] as const;
    const counts = [1, gradient.length] as const;
    return [...compared.map((what, i) => notFinite({ ...base, compared: what }, counts[i] as number, note)), logprobs];
  }
  // A loss may be the small rest of large summands or logprobs, or move much with every logit: the rounding of those is no mistake.
  const sources = [wanted.gradient, wanted.logprobs as Float64Array, ...Object.values(wanted.outputs)];
  const scale = sources.reduce((sum, values) => sum + absolutes(values), 0);
  const [least, greatest] = losses;
  return [
    worst([result.loss], [[wanted.loss], [Math.min(Math.max(result.loss, least), greatest)]], {
      ...base,
      compared: "loss with reference",
      width: null,
      scale,
      undecided: () => undecided.loss,
    }),
    logprobs,
    worst(gradient, gradients, {
      ...base,
      compared: "gradient with reference",
      width: batch.vocab,
      floor,
      undecided: (i) => undecided.gradient.has(i),
    }),
  ];
}

function absolutes(values: Float64Array): number {
  return values.reduce((sum, value) => sum + (Number.isFinite(value) ? Math.abs(value) : 0), 0);
}
