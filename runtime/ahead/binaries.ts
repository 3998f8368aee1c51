/** Compiling the kernels of losses for machines that have no compiler. */
import { availableParallelism } from "node:os";
import { emitText, isCxxTarget, type KernelText, type ShippedTarget, stepUnit, TARGETS } from "../../codegen/emit/index.js";
import type { LogitsDtype } from "../../codegen/loss-program.js";
import type { LossDefinition } from "../../dsl/define-loss.js";
import { loadAddon, requireAddon } from "../addon/addon.js";
import { type CacheEntry, defaultCache, entryFile } from "../cache/index.js";
import { planOf } from "../compiled/plans.js";
import { openCuda, openCxx, type Toolchain } from "../compilers/index.js";
import { checkConfig } from "../inputs/config.js";
import { TRAINING_MODULE } from "../training/kernels.js";
import { fromLogprobs } from "./declarations.js";
import type { Output } from "./output.js";
import { HOST, neededFeatures, shippedKey } from "./shipped.js";

export interface BinaryOptions {
  readonly targets: readonly ShippedTarget[];
  /** Of GPUs. */
  readonly architectures: readonly string[];
  readonly dtypes: readonly LogitsDtype[];
  /** Entries of the rows that will come; undefined: all. */
  readonly vocab: number | undefined;
  /** Of lossc, for people who look into an entry. */
  readonly version: string;
}

/** One binary to be made. */
export interface Job {
  readonly key: string;
  readonly architecture: string;
  readonly text: KernelText;
  /** The loss that needs it, for people. */
  readonly what: string;
}

/** Every kernel text that the losses may want, once each. */
export function binaryJobs(losses: readonly LossDefinition[], options: BinaryOptions): Job[] {
  const jobs = new Map<string, Job>();
  const add = (what: string, architecture: string, text: KernelText) => {
    const key = shippedKey(architecture, text.text);
    if (!jobs.has(key)) jobs.set(key, { key, architecture, text, what });
  };
  for (const target of options.targets) {
    for (const architecture of TARGETS[target].binariesFor === "gpu" ? options.architectures : [HOST]) {
      for (const loss of losses) {
        for (const dtype of [...options.dtypes, ...(fromLogprobs(loss) ? [null] : [])]) {
          const { plan } = planOf(loss, dtype, checkConfig(loss));
          for (const vocab of dtype === null ? [0] : vocabularies(options.vocab))
            add(loss.name, architecture, emitText(plan, { target, architecture, vocab }));
        }
      }
      // The training client's own kernels: whoever runs a built loss may well train with it.
      add("the training client", architecture, stepUnit({ target, ...TRAINING_MODULE }));
    }
  }
  return [...jobs.values()];
}

/** Vocabularies among which there is one of every geometry: texts differ by geometry alone, and a key is made once. */
function vocabularies(vocab: number | undefined): number[] {
  if (vocab !== undefined) return [vocab];
  return Array.from({ length: 4 * LARGEST }, (_, i) => Math.floor(2 ** (LARGEST - i / 4)));
}

/** Exponent of a vocabulary beyond all that are in use. */
const LARGEST = 22;

/**
 * Makes the binaries, several at once, into the folder `kernels` of the output. `COMPILER_NOT_FOUND`, `COMPILE_FAILED`. Gives the bytes that were
 * written.
 */
export async function writeBinaries(
  jobs: readonly Job[],
  output: Output,
  kernels: string,
  version: string,
  progress: (job: Job) => void,
): Promise<number> {
  const place = (job: Job) => `${kernels}/${job.key}`;
  for (const job of jobs) await output.check(place(job), "folder");
  const toolchains = new Map<string, Toolchain>();
  for (const { text, architecture } of jobs)
    if (!toolchains.has(architecture))
      toolchains.set(architecture, await openToolchain(text.target as ShippedTarget, architecture));
  const queue = [...jobs];
  const stop = new AbortController();
  let bytes = 0;
  const work = async () => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
      const entry = await (toolchains.get(job.architecture) as Toolchain).compile(job.text, stop.signal);
      await output.writeFolder(place(job), entryOf(job, entry, version));
      bytes += entry.bytes.length;
      progress(job);
    }
  };
  // The first failure ends the other workers and is the one that is thrown.
  const workers = Array.from({ length: availableParallelism() }, () =>
    work().catch((error: unknown) => {
      queue.length = 0;
      if (!stop.signal.aborted) stop.abort(error);
    }),
  );
  await Promise.all(workers);
  if (stop.signal.aborted) throw stop.signal.reason;
  return bytes;
}

async function openToolchain(target: ShippedTarget, architecture: string): Promise<Toolchain> {
  if (!isCxxTarget(target)) return openCuda(defaultCache(), loadAddon().addon, architecture);
  return openCxx(defaultCache(), target, requireAddon("building for the CPU").cpuFeatures());
}

/** An entry in the cache's format. It may be read by others than who made it, unlike those of the cache. */
function entryOf(job: Job, compiled: CacheEntry, version: string): Record<string, string | Uint8Array> {
  const { source, binary } = TARGETS[job.text.target].compiler;
  const { features, made: _made, ...about } = compiled.about;
  const needs = typeof features === "string" && { needs: neededFeatures(features) };
  const entry = entryFile({ key: job.key, binary }, compiled.bytes, { ...about, lossc: version, ...needs });
  return { [source]: job.text.text, [binary]: compiled.bytes, [entry.name]: entry.text };
}
