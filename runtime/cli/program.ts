/** The commands and their options. The code of a command is loaded when it is called. */
import { readFileSync } from "node:fs";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { SHIPPED_TARGETS, TARGET_NAMES } from "../../codegen/emit/targets/index.js";
import { DTYPES } from "../../dsl/dtypes.js";
import type { Range } from "./check-inputs.js";
import { parseConfig } from "./config.js";
import { describeFailure, exitCodeOf, failureLine, inWords } from "./failure.js";
import { withFaults } from "./faults.js";
import { hasBegun, stdout, writeFailure } from "./stream.js";
import { usage } from "./usage.js";

const LOSS_HELP = `a loss that ships with lossc, such as cross_entropy, ppo or dpo (all of them: docs/losses.md),
or one of yours: path/to/file.ts#export`;

const EVAL_HELP = `
stdin is one case:
  { "lengths": [3, 2], "groups": [2], "vocab": 5,
    "logits": [25 numbers, row by row], "target_tokens": [5 whole numbers],
    "inputs": { "advantages": [5 numbers] } }
or, where the policy's log-probabilities are known already:
  { "lengths": [3, 2], "policy_logprobs": [5 numbers], "inputs": { … } }
With --cases it is an array of { "loss": …, "config": …, "case": … }, and stdout an array of results in the same order,
{ "error": … } for the ones that failed. Numbers that JSON cannot hold are "NaN", "Infinity" and "-Infinity", both ways.

Exit code: 0; 2 for a mistake in what was given; 1 where a compiler or a device failed. On failure the only line on stdout
is {"error":{"code":"…","message":"…"}}.
`;

const EMIT_HELP = `
The text is complete: nvcc -arch=sm_90 -cubin takes it as it is, and a C++ compiler does for cpu and emulated.
`;

const CHECK_HELP = `
Inputs follow from the seed: random ones, ratios at the clip bounds, zero and fractional weights with NaN behind the zeros,
entries of -inf, sequences of length 0 and 1 or wholly masked, ties. The gradient on the device \`reference\` (float64) is compared
with finite differences of the loss there, but for kinks, where there is no derivative; loss, logprobs and gradient on each other
device with those on \`reference\`. The table has the worst of each case on each device, --json all of them.
At a kink, and beside one that float32 and float64 may be on different sides of, a value may be that of either side; one that is of neither is
left out and counted.
Exit code: 0 where every comparison is within tolerance; 1 where one is wrong; 3 where none is wrong, but one could not be made, since all of it
stands at a kink or the loss is not finite there; 2 for a mistake in what was given.
`;

const BENCH_HELP = `
Losses take turns with copies, round by round, on data laid down anew; losses from hidden states (--rows head) with their three matrix products.
Nothing is timed before its result was found right. What counts are ratios within a run; what each is to reach stands beside it. --rows calls is what
a call takes beyond its kernels, --rows compile the time from a definition to loaded kernels. $LOSSC_PYTHON names the interpreter of PyTorch.
`;

const BUILD_HELP = `
Each file becomes a module without the .loss of its name, with typed declarations; modules that it imports by place come along. The binaries lie in
the folder kernels beside them. Where they are imported, neither NVRTC, nvcc, a C++ compiler nor ts-morph is needed.
`;

const BUILD_ADDON_HELP = `
What it is made of is installed with lossc: nothing is downloaded. stdout is the path of the file. With --out, lossc finds it where $LOSSC_ADDON names it.
`;

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as { version: string };
  return version;
}

/** A whole number in a range, for an option's value. */
function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && Number.isInteger(value) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

/** `--config` of every command that takes a loss. */
function configOption(): Option {
  const help = "values of the loss's config: beta=0.1,kind=squared, or a JSON object; may be given again";
  return new Option("--config <values>", help).argParser(parseConfig);
}

function architecture(text: string): string {
  const number = Number(/^sm_([1-9]\d{1,2})[a-z]?$/.exec(text)?.[1] ?? 0);
  if (number >= 80) return text;
  throw new InvalidArgumentError(number > 0 ? "It must be sm_80 or newer." : "It must look like sm_90.");
}

function architectures(text: string): string[] {
  const list = [...new Set(names(text).map(architecture))];
  if (list.length === 0) throw new InvalidArgumentError("It must look like sm_80,sm_90.");
  return list;
}

function ranges(text: string, before?: Map<string, Range>): Map<string, Range> {
  return new Map([
    ...(before ?? []),
    ...names(text).map((one): [string, Range] => [
      one.slice(0, Math.max(0, one.lastIndexOf("="))),
      range(one.slice(one.lastIndexOf("=") + 1)),
    ]),
  ]);
}

/** `0.1:0.9`, or the values themselves, `0/1`. */
function range(text: string): Range {
  const sign = text.includes(":") ? ":" : "/";
  const values = text.split(sign).map((part) => (part.trim() === "" ? Number.NaN : Math.fround(Number(part))));
  const [least = Number.NaN, most = Number.NaN] = values;
  if (values.every(Number.isFinite)) {
    if (sign === ":" && values.length === 2 && least <= most) return { least, most };
    if (sign === "/" && values.length > 1) return { values };
  }
  throw new InvalidArgumentError(
    "It must look like prob=0.1:0.9, from the least to the most, or label=0/1, the values themselves.",
  );
}

function names(text: string): string[] {
  return text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

/** The command line. `done` receives the exit code of a command that went through and has one. */
function build(done: (code: number) => void): Command {
  const program = new Command("lossc")
    .description("A loss compiler: a loss written in TypeScript becomes fused kernels that give its value and gradient.")
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .showSuggestionAfterError(true)
    // Both before any command is added: commands inherit them.
    .configureOutput({ writeErr: () => {}, writeOut: (text) => stdout.write(text) })
    .exitOverride();

  program
    .command("devices")
    .description("list the devices, what was found of what they need, and how to mend what was not")
    .option("--json", "print JSON")
    .action(async (options: { json?: true }) => (await import("./devices.js")).devices(options));

  program
    .command("emit")
    .description("print the kernels that a loss compiles to")
    .argument("<loss>", LOSS_HELP)
    .addOption(new Option("--target <target>", "what the text is for").choices(TARGET_NAMES).default("cuda"))
    .addOption(new Option("--dtype <dtype>", "how logits lie in memory").choices(DTYPES).default("bf16"))
    .addOption(new Option("--arch <arch>", "CUDA architecture").argParser(architecture).default("sm_90"))
    .addOption(new Option("--vocab <size>", "entries of a vocabulary row").argParser(whole(1, 2 ** 31 - 1)).default(131072))
    .addOption(configOption())
    .addOption(new Option("--plan", "print the plan, as JSON, instead of the text").conflicts("passes"))
    .option("--passes", "print the expressions after each pass of the compiler, instead of the text")
    .addHelpText("after", EMIT_HELP)
    .action(async (loss: string, options) => (await import("./emit.js")).emit(loss, options));

  program
    .command("eval")
    .description("run a loss on the case on stdin; print its value and gradient as JSON")
    .argument("[loss]", `${LOSS_HELP};\nwith --cases the default of the cases that name none`)
    .addOption(configOption())
    .option("--device <name>", "cuda:N, cpu, emulated or reference (default: cuda:0 where there is one, else cpu)")
    .addOption(
      new Option(
        "--metrics <names>",
        "metrics to compute and print, with commas between (default: those that the loss gives unasked)",
      ).argParser(names),
    )
    .option("--cases", "stdin is an array of cases")
    .addHelpText("after", EVAL_HELP)
    .action(async (loss: string | undefined, options) => (await import("./eval.js")).evaluate(loss, options));

  program
    .command("explain")
    .description("print a loss and its gradient as formulas, what runs for them and why; draw the graph")
    .argument("<loss>", LOSS_HELP)
    .addOption(new Option("--dtype <dtype>", "how logits lie in memory").choices(DTYPES).default("bf16"))
    .addOption(new Option("--vocab <size>", "entries of a vocabulary row").argParser(whole(1, 2 ** 31 - 1)).default(131072))
    .addOption(configOption())
    .option("--svg <file>", "draw the graph of the loss and its gradient to a file")
    .option("--json", "print JSON")
    .action(async (loss: string, options) => (await import("./explain.js")).explain(loss, options));

  program
    .command("check")
    .description("compare the gradient of a loss with finite differences, and every device with reference")
    .argument("<loss>", LOSS_HELP)
    .addOption(configOption())
    .addOption(
      new Option("--device <names>", "devices to compare with reference, with commas between (default: all available)").argParser(
        names,
      ),
    )
    .addOption(new Option("--seed <number>", "seed of the random inputs (default: a fresh one)").argParser(whole(0, 2 ** 32 - 1)))
    .addOption(
      new Option(
        "--range <ranges>",
        "where random inputs lie, for those that take no other numbers: prob=0.1:0.9,label=0/1",
      ).argParser(ranges),
    )
    .option("--json", "print JSON")
    .addHelpText("after", CHECK_HELP)
    .action(async (loss: string, options) => done(await (await import("./check.js")).check(loss, options)));

  program
    .command("bench")
    .description("time losses beside a copy of the same bytes, and beside PyTorch where python3 has it")
    .option("--device <name>", "cuda:N or cpu (default: cuda:0 where there is one, else cpu)")
    .addOption(
      new Option(
        "--rows <names>",
        "losses (or the name of one, such as ppo), head, calls, compile or geometries, with commas between (default: all but geometries)",
      ).argParser(names),
    )
    .addOption(new Option("--rounds <number>", "rounds that medians are taken of").argParser(whole(1, 1000)).default(15))
    .option("--quick", "small shapes, to try the bench itself: their figures say nothing")
    .option("--no-peers", "leave PyTorch and the others out")
    .option("--svg <file>", "draw the figures to a file")
    .option("--save <file>", "keep every round in a file, as JSON, from the first on that is measured")
    .option("--json", "print every round, as JSON")
    .addHelpText("after", BENCH_HELP)
    .action(async (options) => done(await (await import("../../bench/bench.js")).bench(options)));

  program
    .command("build")
    .description("write losses as modules with typed declarations and binaries, which run without any compiler")
    .argument("<files...>", "files that export losses: losses/*.loss.ts")
    .requiredOption("--out <folder>", "where to write")
    .addOption(
      new Option("--target <targets>", "with commas between").argParser(several(SHIPPED_TARGETS)).default(SHIPPED_TARGETS),
    )
    .addOption(
      new Option("--arch <archs>", "CUDA architectures, with commas between")
        .argParser(architectures)
        .default(["sm_80", "sm_90"]),
    )
    .addOption(
      new Option("--dtype <dtypes>", "how logits will lie in memory, with commas between")
        .argParser(several(DTYPES))
        .default(["f32", "bf16"]),
    )
    .addOption(new Option("--vocab <size>", "entries of a vocabulary row (default: all sizes)").argParser(whole(1, 2 ** 31 - 1)))
    .option("--json", "print the summary as JSON")
    .addHelpText("after", BUILD_HELP)
    .action(async (files: string[], options) => (await import("./build.js")).buildLosses(files, options, version()));

  program
    .command("build-addon")
    .description("compile lossc's own addon, with cmake and a C++ compiler, where the one that was installed does not fit")
    .option("--out <folder>", "where to write it (default: into the installed package)")
    .addHelpText("after", BUILD_ADDON_HELP)
    .action(async (options: { out?: string }) => (await import("./build-addon.js")).buildAddon(options));

  return program;
}

/** Some of a few words, with commas between. */
function several<Word extends string>(words: readonly Word[]): (text: string) => Word[] {
  return (text) => {
    const chosen = names(text);
    const unknown = chosen.find((name) => !words.some((word) => word === name));
    if (chosen.length === 0 || unknown !== undefined) throw new InvalidArgumentError(`It must be some of ${words.join(", ")}.`);
    return words.filter((word) => chosen.includes(word));
  };
}

/** Runs one command line and gives the exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  let code = 0;
  const program = build((other) => {
    code = other;
  });
  try {
    // A result that is being written is right; later faults of the file do not change that.
    await withFaults(
      () => program.parseAsync(argv, { from: "user" }),
      () => !hasBegun(),
    );
    return code;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0;
    const error = thrown instanceof CommanderError ? asUsage(thrown) : thrown;
    const failure = describeFailure(error);
    writeFailure(failureLine(failure));
    process.stderr.write(inWords(error));
    return exitCodeOf(failure);
  }
}

/** commander found the mistake: its message, and where to read on. */
function asUsage(error: CommanderError): unknown {
  if (error.code === "commander.help")
    return usage(
      "a command is needed, one of devices, emit, eval, explain, check, bench, build and build-addon; see lossc --help",
    );
  const message = error.message.replace(/^error: /, "").replace(/\n\(Did you mean (.*)\?\)$/, " (did you mean $1?)");
  return usage(`${message.replace(/\.$/, "")}; see lossc --help, or the --help of a command`);
}
