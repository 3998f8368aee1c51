/** Finds and loads the Node addon, runs its programs, and turns its errors into {@link LosscError}. */
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ERROR_CODES, type ErrorCode, LosscError } from "../../dsl/errors.js";
import { abortedError, throwIfAborted, whenAborted } from "../tasks/abort.js";
import type { Command, NativeAddon, NativeDevice } from "./native.js";
import { builtFor, platformName, platformPackage } from "./platform.js";

/** Result of the search for the addon. */
export interface AddonReport {
  readonly addon: NativeAddon | null;
  /** The file that was loaded, or looked for. */
  readonly path: string;
  /** Where `addon` is null: the missing part. */
  readonly problem: string;
  /** Where `addon` is null: the way to get it. */
  readonly advice: string;
  /** Problem and advice in one text. */
  readonly reason: string;
}

/** Result of loading a file. A file is tried once, since a second attempt fails the same way. */
type Attempt = { readonly addon: NativeAddon } | { readonly problem: string };

const attempts = new Map<string, Attempt>();
const require = createRequire(import.meta.url);

/** The folder with lossc's `package.json`: this file lies at a different depth in a checkout and in `dist/`. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json"))) {
    const parent = dirname(folder);
    if (parent === folder) throw new LosscError("USAGE", `lossc lies in no package: no package.json above ${import.meta.url}`);
    folder = parent;
  }
  return folder;
}

/** The folder of the package into which an addon is built. */
export function addonFolder(): string {
  return join(packageRoot(), "build", "Release");
}

/**
 * The program that runs compilers so that they end with this process (native/guard), beside the addon; null where it was not built or may not be run.
 */
export function findGuard(): string | null {
  const path = join(dirname(loadAddon().path), "lossc-guard");
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    return null;
  }
}

/**
 * Loads the addon: the file that `$LOSSC_ADDON` names, else the first that loads of `build/Release/lossc.node` of the package and that of the package
 * for this kind of machine. Never throws: a machine where it was not built is an ordinary machine.
 */
export function loadAddon(): AddonReport {
  const override = process.env.LOSSC_ADDON;
  if (override) {
    const path = resolve(override);
    const attempt = load(path);
    if ("addon" in attempt) return found(attempt.addon, path);
    return absent(
      path,
      attempt.problem,
      `unset LOSSC_ADDON, which names that file, and where lossc has no addon yet ${advice()}`,
    );
  }
  const own = join(addonFolder(), "lossc.node");
  const problems: string[] = [];
  for (const find of [() => own, prebuilt]) {
    const path = find();
    if (path === null || !existsSync(path)) continue;
    const attempt = load(path);
    if ("addon" in attempt) return found(attempt.addon, path);
    problems.push(attempt.problem);
  }
  if (problems.length === 0) problems.push(`the addon is not built (${own} is missing)`);
  return absent(own, problems.join(", and "), advice());
}

function found(addon: NativeAddon, path: string): AddonReport {
  return { addon, path, problem: "", advice: "", reason: "" };
}

function absent(path: string, problem: string, advice: string): AddonReport {
  return { addon: null, path, problem, advice, reason: `${problem}: ${advice}` };
}

/** The addon of the package that holds one for this kind of machine; null where that is not installed, or is of another version. */
function prebuilt(): string | null {
  try {
    const manifest = require.resolve(`${platformPackage()}/package.json`);
    return versionAt(manifest) === versionAt(join(packageRoot(), "package.json")) ? join(dirname(manifest), "lossc.node") : null;
  } catch {
    return null;
  }
}

function versionAt(manifest: string): unknown {
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version?: unknown }).version;
}

/** Loads one file. */
export function load(path: string): Attempt {
  // A missing file is not remembered: it may be built while the process runs.
  if (!existsSync(path)) return { problem: `the addon is not built (${path} is missing)` };
  let attempt = attempts.get(path);
  if (!attempt) {
    try {
      attempt = { addon: require(path) as NativeAddon };
    } catch (error) {
      attempt = { problem: `the addon ${path} does not load: ${whyNot(path, error)}` };
    }
    attempts.set(path, attempt);
  }
  return attempt;
}

/** The reason why a file does not load. The dynamic linker's message does not say that a binary is for another machine. */
function whyNot(path: string, error: unknown): string {
  const said = error instanceof Error ? error.message : String(error);
  const [other, here] = [builtFor(path), platformName()];
  if (other === null) return `it is no shared library (${said})`;
  if (other !== here) return `it is for ${other}, and this machine is ${here}`;
  const newer = /version `(GLIBC_[\d.]+)' not found/.exec(said)?.[1];
  return newer === undefined ? said : `it was built where the C library is newer, and asks for ${newer}`;
}

/** The way to get an addon, in a checkout or in an installed package. */
function advice(): string {
  const root = packageRoot();
  if (existsSync(join(root, "scripts", "build.mjs"))) return `run \`npm run build\` in ${root}`;
  const { version, optionalDependencies = {} } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    version: string;
    optionalDependencies?: Readonly<Record<string, string>>;
  };
  const name = platformPackage();
  const ready = Object.hasOwn(optionalDependencies, name) ? `\`npm install ${name}@${version}\` brings one, or ` : "";
  return `${ready}run \`npx lossc build-addon\`, which compiles it with cmake and a C++ compiler and downloads nothing`;
}

/** The addon. `DEVICE_NOT_FOUND`, with the reason, where there is none for `wantedBy`. */
export function requireAddon(wantedBy: string): NativeAddon {
  const { addon, reason } = loadAddon();
  if (!addon)
    throw new LosscError(
      "DEVICE_NOT_FOUND",
      `${wantedBy} needs the addon, and ${reason}. The device "reference" works without it.`,
    );
  return addon;
}

/** Advice that is added to errors of the addon. */
const ADVICE: Partial<Record<ErrorCode, string>> = {
  DEVICE_OUT_OF_MEMORY: "Give fewer tokens per call, use `inPlace: true`, or dispose of buffers that are not needed.",
  DEVICE_FAULT:
    "The device may be unusable now: dispose of it and open it again; if it happens again, report it with the kernel's text (`lossc emit`).",
  DISPOSED: "Open a new device with openDevice().",
};

/** Wraps an error of the addon, which has a `code` and maybe a `log`. Any other error is a `DEVICE_FAULT`. */
export function wrapNative(error: unknown): LosscError {
  if (error instanceof LosscError) return error;
  const { code, message, log } = (typeof error === "object" && error !== null ? error : { message: error }) as {
    code?: unknown;
    message?: unknown;
    log?: unknown;
  };
  const known = ERROR_CODES.find((entry) => entry === code) ?? "DEVICE_FAULT";
  const advice = ADVICE[known];
  const text = String(message ?? "the addon failed without a message");
  const joined = advice && !text.includes(advice) ? `${text.replace(/[.\s]+$/, "")}. ${advice}` : text;
  return new LosscError(known, joined, {
    cause: error,
    log: typeof log === "string" ? log : undefined,
  });
}

/** Awaits work of the addon and wraps its errors. */
export async function native<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw wrapNative(error);
  }
}

/**
 * Runs a program of the addon. The signal raises the program's abort flag, and the addon stops at the next command or piece of work.
 *
 * @param what The call, for the message of `ABORTED`.
 * @throws LosscError `ABORTED` with the signal's reason; everything that the addon rejects with.
 */
export async function runCommands(
  device: NativeDevice,
  commands: readonly Command[],
  signal?: AbortSignal,
  what = "The call",
): Promise<void> {
  throwIfAborted(signal, what);
  if (commands.length === 0) return;
  const flag = signal && new Int32Array(1);
  const leave = whenAborted(signal, () => flag && Atomics.store(flag, 0, 1));
  try {
    await device.run(commands, flag);
  } catch (error) {
    const wrapped = wrapNative(error);
    throw wrapped.code === "ABORTED" ? abortedError(signal, what) : wrapped;
  } finally {
    leave();
  }
}
