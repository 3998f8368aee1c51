/**
 * Compiles the fake CUDA libraries and says where they are. They are kept in the checkout, where nobody else puts libraries, by a digest of all that
 * goes into them.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Fakes {
  /** For `LOSSC_LIBCUDA`. */
  readonly cuda: string;
  /** The same without graphs, as old drivers are. */
  readonly oldCuda: string;
  /** For `LOSSC_LIBNVRTC`. */
  readonly nvrtc: string;
  /** For `LOSSC_LIBCUBLAS`. */
  readonly cublas: string;
}

const here = fileURLToPath(new URL(".", import.meta.url));
const native = fileURLToPath(new URL("../../../native", import.meta.url));
const codegen = fileURLToPath(new URL("../../../codegen", import.meta.url));
const kept = fileURLToPath(new URL("../../../build/fakes", import.meta.url));
/** `scripts/sanitize.sh` names one here that adds its sanitizers. */
const compiler = process.env.CXX ?? "c++";

const driver = [
  join(here, "fake_cuda.cc"),
  join(here, "fake_cuda_context.cc"),
  ...["cluster.cc", "fiber.cc", "races.cc", "switch.cc"].map((file) => join(native, "emulator", file)),
];
const units: readonly { readonly output: string; readonly sources: readonly string[] }[] = [
  { output: "libcuda.so.1", sources: [...driver, join(here, "fake_cuda_graphs.cc")] },
  { output: "libcuda-old.so.1", sources: driver },
  { output: "libnvrtc.so", sources: [join(here, "fake_nvrtc.cc"), join(here, "ptx.cc")] },
  { output: "libcublas.so", sources: [join(here, "fake_cublas.cc")] },
];
const flags = [
  "-std=c++20",
  "-O1",
  "-g",
  "-fPIC",
  "-shared",
  "-fvisibility=hidden",
  "-Wall",
  "-Wextra",
  `-I${native}`,
  `-I${codegen}`,
  `-I${here}`,
  `-DNATIVE_FOLDER="${native}"`,
  `-DCODEGEN_FOLDER="${codegen}"`,
  `-DFAKE_FOLDER="${here}"`,
];

function digest(): string {
  const hash = createHash("sha256").update(
    JSON.stringify([flags, compiler, execFileSync(compiler, ["--version"], { encoding: "utf8" })]),
  );
  for (const folder of [
    here,
    join(native, "core"),
    join(native, "emulator"),
    ...["common", "emulated"].map((name) => join(codegen, "preludes", name)),
  ]) {
    for (const file of readdirSync(folder).sort()) {
      if (/\.(cc|h)$/.test(file)) hash.update(file).update(readFileSync(join(folder, file)));
    }
  }
  return hash.digest("hex").slice(0, 16);
}

/** Whoever loses a race deletes what it made. */
function install(folder: string): void {
  const root = join(folder, "..");
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const made = mkdtempSync(join(root, "making-"));
  // Each source once, though it goes into several libraries, and as many at a time as there are processors.
  const sources = [...new Set(units.flatMap((unit) => unit.sources))];
  const each = ["-0", "-n", "1", "-P", `${availableParallelism()}`, compiler, ...flags, "-c"];
  execFileSync("xargs", each, { cwd: made, input: sources.join("\0"), stdio: ["pipe", "inherit", "inherit"] });
  for (const unit of units) {
    const objects = unit.sources.map((file) => basename(file).replace(/cc$/, "o"));
    execFileSync(compiler, [...flags, "-o", unit.output, ...objects, "-ldl"], { cwd: made, stdio: "inherit" });
  }
  try {
    renameSync(made, folder);
  } catch (error) {
    rmSync(made, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
}

export function buildFakes(): Fakes {
  const folder = join(kept, digest());
  if (!existsSync(folder)) install(folder);
  return {
    cuda: join(folder, "libcuda.so.1"),
    oldCuda: join(folder, "libcuda-old.so.1"),
    nvrtc: join(folder, "libnvrtc.so"),
    cublas: join(folder, "libcublas.so"),
  };
}
