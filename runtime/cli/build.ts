/** `lossc build`: losses as modules that need no compiler where they run. */
import { existsSync, realpathSync } from "node:fs";
import { resolve } from "node:path";
import { SingleBar } from "cli-progress";
import type { ShippedTarget } from "../../codegen/emit/index.js";
import type { LogitsDtype } from "../../codegen/loss-program.js";
import { LosscError } from "../../dsl/errors.js";
import { binaryJobs, type Job, writeBinaries } from "../ahead/binaries.js";
import { writeDeclarations } from "../ahead/declarations.js";
import { collectModules, KERNELS, type SourceModule, writeModule } from "../ahead/modules.js";
import { Output } from "../ahead/output.js";
import { write } from "./stream.js";

export interface BuildOptions {
  readonly out: string;
  readonly arch: readonly string[];
  readonly target: readonly ShippedTarget[];
  readonly dtype: readonly LogitsDtype[];
  readonly vocab?: number;
  readonly json?: true;
}

/** Writes modules, declarations and binaries, and a summary to stdout. */
export async function buildLosses(files: readonly string[], options: BuildOptions, version: string): Promise<void> {
  const modules = await collectModules(files.map(real));
  const losses = [...new Set(modules.flatMap((module) => Object.values(module.losses)))];
  if (losses.length === 0)
    throw new LosscError(
      "LOSS_UNKNOWN",
      `${files.join(", ")} ${files.length === 1 ? "exports" : "export"} no loss: nothing that defineLoss(...) made`,
    );
  const out = resolve(options.out);
  const { target: targets, arch: architectures, dtype: dtypes, vocab } = options;
  // Mistakes in a loss are found before anything is written.
  const jobs = binaryJobs(losses, { targets, architectures, dtypes, vocab, version });
  const output = await Output.open(out);
  let bytes: number;
  try {
    for (const module of modules) await writeModule(module, modules, output);
    await writeDeclarations(modules, output);
    bytes = await compileAll(jobs, output, version);
    await output.commit();
  } catch (error) {
    output.discard();
    throw error;
  }
  const summary = {
    out,
    modules: modules.map(summaryOf),
    binaries: { count: jobs.length, bytes, targets, architectures: [...new Set(jobs.map(({ architecture }) => architecture))] },
  };
  if (options.json) return write(`${JSON.stringify(summary)}\n`);
  const lines = summary.modules.map(({ module, losses }) => `${module}  ${losses.length > 0 ? losses.join(", ") : "(no loss)"}`);
  const sizes = `${jobs.length} binaries, ${(bytes / 2 ** 20).toFixed(1)} MiB, for ${summary.binaries.architectures.join(", ")}`;
  await write(`${[...lines, `${KERNELS}/  ${sizes}`].join("\n")}\n`);
}

/** Makes the binaries with a bar of how far it is, and gives their bytes. */
async function compileAll(jobs: readonly Job[], output: Output, version: string): Promise<number> {
  const bar = new SingleBar({
    format: "kernels {bar} {value}/{total} · {what} · {eta_formatted}",
    stream: process.stderr,
    hideCursor: true,
  });
  bar.start(jobs.length, 0, { what: "" });
  try {
    return await writeBinaries(jobs, output, KERNELS, version, ({ what }) => bar.increment({ what }));
  } finally {
    bar.stop();
  }
}

function summaryOf({ path, output, losses }: SourceModule): { module: string; source: string; losses: string[] } {
  return { module: `${output}.js`, source: path, losses: Object.keys(losses) };
}

function real(file: string): string {
  const path = resolve(file);
  if (!existsSync(path)) throw new LosscError("LOSS_UNKNOWN", `there is no file ${path}`);
  return realpathSync(path);
}
