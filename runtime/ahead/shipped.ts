/**
 * Binaries that were made ahead of time, by `lossc build`. They lie in a folder beside the built modules, in the cache's own format, one folder per
 * key; a built module registers its folder when it is loaded, and devices look there before they ask for a compiler.
 *
 * A key is `<architecture>-<digest of the kernel text>`. The text holds the prelude, the geometry and the dtype, so it says all that a
 * binary is made from but the compiler, which need not exist where the binary is used.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Compiler, type KernelText, type ShippedTarget, TARGETS } from "../../codegen/emit/index.js";
import { type CacheEntry, type EntryNames, readEntry } from "../cache/index.js";

/** The processor that this process runs on, as keys name it. */
export const HOST = `${process.platform}-${process.arch}`;

/** The architecture of a binary: `sm_90` on cuda, {@link HOST} on the CPU. */
export function shippedKey(architecture: string, text: string): string {
  return `${architecture}-${createHash("sha256").update(text).digest("hex")}`;
}

/** Folders that built modules registered, and the keys in each. */
const folders = new Map<string, readonly string[]>();

/** Called by built modules when they are loaded: devices look in this folder for binaries from now on. */
export function registerBinaries(folder: URL): void {
  const path = fileURLToPath(folder);
  let names: string[] = [];
  try {
    names = readdirSync(path);
  } catch {
    // The folder was left behind. What is needed of it is asked for later, and the error then names it.
  }
  folders.set(path, names);
}

/** Whether some built module brought binaries for the target. */
export function shipsFor(target: ShippedTarget): boolean {
  return [...folders.values()].flat().some((name) => name.startsWith(TARGETS[target].binariesFor === "gpu" ? "sm_" : HOST));
}

/** A binary that fits, or else why none does; both null where no built module was loaded. */
export interface Shipped {
  readonly entry: CacheEntry | null;
  readonly problem: string | null;
}

/** Looks for the binary of a text. `features` are the processor's, see `NativeAddon.cpuFeatures`. */
export function findShipped(text: KernelText, architecture: string, features: () => string): Shipped {
  const { binariesFor, compiler } = TARGETS[text.target];
  let problem: string | null = null;
  if (binariesFor === null) return { entry: null, problem };
  for (const [folder, names] of folders) {
    const built = names.filter((name) => name.endsWith(shippedKey("", text.text))).map(architectureOf);
    const chosen = binariesFor === "processor" ? built.find((name) => name === HOST) : fitting(architecture, built);
    if (chosen === undefined) {
      problem = absent(folder, names, binariesFor === "processor" ? HOST : architecture, built);
      continue;
    }
    const path = join(folder, shippedKey(chosen, text.text));
    // They may be somebody else's, as the program itself may be.
    const entry = readEntry(
      { path, read: (name) => readFileSync(join(path, name)) },
      namesOf(compiler, shippedKey(chosen, text.text)),
    );
    if (!entry) problem = `the entry ${path} is damaged; build it again`;
    else {
      const lacking = binariesFor === "processor" ? lacks(entry, features()) : [];
      if (lacking.length === 0) return { entry, problem: null };
      problem = `those in ${folder} were made for a processor with ${lacking.join(", ")}, which this one lacks; build them on a machine like this one`;
    }
  }
  return { entry: null, problem };
}

function namesOf({ source, binary }: Compiler, key: string): EntryNames {
  return { key, source: { file: source }, binary };
}

function architectureOf(name: string): string {
  return name.slice(0, name.lastIndexOf("-"));
}

/** Those of Jetson boards, whose binaries no other GPU is promised to run. */
const BOARDS = ["sm_53", "sm_62", "sm_72", "sm_87", "sm_101"];

/**
 * The architecture among `built` whose binaries a GPU of `wanted` runs best: its own, else the newest older one of the same major version. A letter
 * behind the number (`sm_90a`) means that nothing else runs them.
 */
export function fitting(wanted: string, built: readonly string[]): string | undefined {
  if (built.includes(wanted)) return wanted;
  const [major, minor] = version(wanted) ?? [];
  if (major === undefined || minor === undefined) return undefined;
  const fits = built.flatMap((name) => {
    if (BOARDS.includes(name)) return [];
    const [otherMajor, otherMinor] = version(name) ?? [];
    return otherMajor === major && otherMinor !== undefined && otherMinor < minor ? [{ name, otherMinor }] : [];
  });
  return fits.sort((a, b) => b.otherMinor - a.otherMinor)[0]?.name;
}

/** `sm_89` is 8 and 9. */
function version(architecture: string): readonly [number, number] | undefined {
  const [, major, minor] = /^sm_(\d+)(\d)$/.exec(architecture) ?? [];
  return major === undefined ? undefined : [Number(major), Number(minor)];
}

function absent(folder: string, names: readonly string[], architecture: string, built: readonly string[]): string {
  if (names.length === 0) return `the folder ${folder} is missing or empty; it belongs beside the built modules`;
  if (built.length > 0) return `${folder} holds this kernel for ${built.join(", ")} only, not for ${architecture}`;
  const all = [...new Set(names.map(architectureOf))];
  return `${folder} holds kernels for ${all.join(", ")}, but not this one: it was built for other dtypes, vocabularies or constants, or by another version of lossc`;
}

/**
 * Features of an x86 processor that a compiler makes use of of its own accord, as Linux names them; the others say nothing of what a binary needs.
 */
const USED =
  /^(pni|ss?se\d?|sse4_[12]|sse4a|avx\w*|amx\w*|fma4?|f16c|bmi[12]|abm|popcnt|adx|v?aes|v?pclmulqdq|gfni|sha_ni|sha512|movbe|xop|tbm|rdrand|rdseed|fsgsbase|cx16|lahf_lm)$/;

/** Processor features that a binary may need, given the features of the processor that it was compiled on. */
export function neededFeatures(features: string): string[] {
  const [family, ...words] = features.split(" ");
  return family === "x86_64" ? words.filter((word) => USED.test(word)) : words;
}

function lacks(entry: CacheEntry, features: string): string[] {
  const here = new Set(features.split(" "));
  const { needs } = entry.about;
  return Array.isArray(needs) ? needs.filter((need): need is string => typeof need === "string" && !here.has(need)) : [];
}
