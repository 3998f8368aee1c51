// The steps of run.sh of the bundle, the most important first. Each writes its output to a file; summary.json has the outcomes. Steps that need a GPU
// or a missing tool are skipped by name.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Steps } from "./steps.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const quick = process.argv.includes("--quick");
const out = resolve(process.env.OUT ?? "results");
mkdirSync(out, { recursive: true });
// The toolkit is often installed without being on the path.
process.env.PATH = [process.env.PATH, "/usr/local/cuda/bin"].filter(Boolean).join(delimiter);
process.env.LOSSC_CACHE_DIR ??= join(root, "cache");
// A GPU is rarely at hand: the tests take no samples of what they try on it.
if (!quick) process.env.LOSSC_TESTS ??= "all";
const python = process.env.LOSSC_PYTHON ?? "python3";
// PyTorch's wheels bring NVRTC and cuBLAS, for where the toolkit is without.
const wheels = spawnSync(python, [
  "-c",
  "import glob, nvidia; print(*(d for p in nvidia.__path__ for d in glob.glob(p + '/*/lib')), sep=':')",
]);
process.env.LD_LIBRARY_PATH = [process.env.LD_LIBRARY_PATH, "/usr/local/cuda/lib64", wheels.stdout?.toString().trim()]
  .filter(Boolean)
  .join(delimiter);

const lossc = [process.execPath, join(root, "dist", "runtime", "cli", "main.js")];
const chosen = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
const seconds = Number(process.argv.find((argument) => argument.startsWith("--seconds="))?.split("=")[1] ?? 600);
if (!(seconds > 0)) throw new Error("--seconds=300 ends a step after five minutes; it takes a number above 0");
const steps = new Steps(root, out, {
  chosen: chosen.length > 0 ? ["devices", ...chosen] : [],
  seconds,
  about: { version: process.version, quick },
});

// The machine.
for (const [name, ...command] of [
  ["kernel", "uname", "-a"],
  ["libc", "ldd", "--version"],
  ["gpu", "nvidia-smi", "-q"],
  ["nvcc", "nvcc", "--version"],
  ["torch", python, "-c", "import torch; print(torch.__version__, torch.version.cuda)"],
])
  steps.optional(`machine-${name}`, command);
const found = steps.run("devices", [...lossc, "devices", "--json"]);
const device = found.ok ? JSON.parse(found.stdout).devices.find((entry) => entry.device.startsWith("cuda")) : undefined;
const noGpu = device?.available ? null : (device?.description.split(";")[0] ?? "lossc devices failed");

// Every loss that ships with lossc, on the GPU or on another device.
const { builtins } = await import(join(root, "dist", "losses", "index.js"));
const names = Object.keys(builtins);
for (const name of quick ? names.slice(0, 3) : names)
  steps.run(`check-${name}`, [
    ...lossc,
    "check",
    name,
    "--seed",
    "1",
    "--json",
    ...(noGpu === null ? ["--device", "cuda:0"] : []),
  ]);

// The figures beside copies, and those of other geometries than the table's.
const bench = (name, ...options) => {
  const kept = ["--save", join(out, `${name}.json`), ...(quick ? ["--quick", "--rounds", "3"] : [])];
  steps.run(name, [...lossc, "bench", "--device", "cuda:0", ...kept, ...options], { unless: noGpu });
};
bench("bench", "--no-peers", "--svg", join(out, "bench.svg"));
bench("geometries", "--rows", "geometries");

// The tests of the checkout that run on a GPU, by the device in their names; those of the fake GPU need a C++ compiler and no GPU.
const PARTS = ["runtime/", "training/", "emulated/", "properties/", "dsl/", "errors/", "cli/vectors"];
const tests = readdirSync(join(root, "test"), { recursive: true })
  .filter(
    (name) => PARTS.some((part) => name.startsWith(part)) && name.endsWith(".test.ts") && !name.endsWith("fake-cuda.test.ts"),
  )
  .map((name) => `test/${name}`);
const report = join(out, "tests.json");
steps.run(
  "tests",
  [
    process.execPath,
    join(root, "node_modules", "vitest", "vitest.mjs"),
    "run",
    ...tests,
    "--testNamePattern=cuda:0",
    "--reporter=verbose",
    "--reporter=json",
    `--outputFile.json=${report}`,
  ],
  // Tests that are all skipped are no proof of anything.
  {
    unless: noGpu,
    problem: () => (JSON.parse(readFileSync(report, "utf8")).numPassedTests > 0 ? null : "no test ran: see tests.json"),
  },
);

// A few small runs and two rows as long as a cluster, under each tool of compute-sanitizer.
const vectors = JSON.parse(readFileSync(join(root, "test", "fixtures", "builtins.json"), "utf8"));
const small = vectors.slice(0, 12).map(({ loss, config, case: given }) => ({ loss, config, case: given }));
const wide = (vocab) => ({
  lengths: [2],
  vocab,
  logits: Array.from({ length: 2 * vocab }, (_, i) => (i * 7919) % 13),
  target_tokens: [0, vocab - 1],
  inputs: { logprobs: [-11, -12], advantages: [1, -1] },
});
const cases = quick
  ? small.slice(0, 2)
  : [...small, ...["ppo", "gspo"].map((loss) => ({ loss, config: {}, case: wide(131075) }))];
const sanitizer = steps.find("compute-sanitizer");
const unwatched = noGpu ?? (sanitizer ? null : "compute-sanitizer is not there");
for (const tool of ["memcheck", "racecheck", "synccheck", "initcheck"]) {
  const name = `sanitizer-${tool}`;
  const watched = [sanitizer, "--tool", tool, "--error-exitcode", "9", "--log-file", join(out, `${name}.log`)];
  steps.run(name, [...watched, ...lossc, "eval", "--cases", "--device", "cuda:0"], {
    unless: unwatched,
    stdin: JSON.stringify(cases),
    problem: (stdout) => JSON.parse(stdout).find(({ error }) => error)?.error.message ?? null,
  });
}

// Times of other people's tools. Their compilers take minutes.
if (!quick) bench("peers", "--rows", "cross_entropy,ppo,gspo,forward_kl,head");
process.exitCode = steps.finish() ? 0 : 1;
