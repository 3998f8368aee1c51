/** Finding and loading the Node addon, and turning what it throws into {@link LosscError}. */
import { accessSync, constants, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ERROR_CODES, type ErrorCode, LosscError } from "../dsl/errors.js";
import type { NativeAddon } from "./native.js";

/** What the search for the addon came to. Where `addon` is null, `reason` says what is missing and how to add it. */
export interface AddonReport {
  readonly addon: NativeAddon | null;
  /** The file that was loaded, or looked for. */
  readonly path: string;
  readonly reason: string;
}

const reports = new Map<string, AddonReport>();

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

/** Where the addon is looked for: `$LOSSC_ADDON`, else `build/Release/lossc.node` of the package. */
export function addonPath(): string {
  const override = process.env.LOSSC_ADDON;
  return override ? resolve(override) : join(packageRoot(), "build", "Release", "lossc.node");
}

/** The program that runs compilers so that they end with this process (native/guard), beside the addon; null where it was not built or may not be run. */
export function findGuard(): string | null {
  const path = join(dirname(addonPath()), "lossc-guard");
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    return null;
  }
}

/** Loads the addon, once per path. Never throws: a machine where it was not built is an ordinary machine. */
export function loadAddon(): AddonReport {
  const path = addonPath();
  let report = reports.get(path);
  if (!report) {
    report = tryLoad(path);
    // A missing file may be built while the process runs (the tests do it); a file that does not load will not get better.
    if (report.addon || existsSync(path)) reports.set(path, report);
  }
  return report;
}

function tryLoad(path: string): AddonReport {
  if (!existsSync(path)) {
    return {
      addon: null,
      path,
      reason: `the addon is not built (${path} is missing): run \`npm run build\` in lossc's folder`,
    };
  }
  try {
    return {
      addon: createRequire(import.meta.url)(path) as NativeAddon,
      path,
      reason: "",
    };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return {
      addon: null,
      path,
      reason: `the addon does not load (${problem}): build it anew with \`npm run build\` in lossc's folder`,
    };
  }
}

/** The addon, or `DEVICE_NOT_FOUND` with the reason why `wantedBy` cannot be had. */
export function requireAddon(wantedBy: string): NativeAddon {
  const { addon, reason } = loadAddon();
  if (!addon)
    throw new LosscError(
      "DEVICE_NOT_FOUND",
      `${wantedBy} needs the addon, and ${reason}. The device "reference" works without it.`,
    );
  return addon;
}

/** The way out that the addon, which knows no user, does not give. */
const ADVICE: Partial<Record<ErrorCode, string>> = {
  DEVICE_OUT_OF_MEMORY: "Give fewer tokens per call, use `inPlace: true`, or dispose of buffers that are not needed.",
  DEVICE_FAULT:
    "The device may be unusable now: dispose of it and open it again; if it happens again, report it with the kernel's text (`lossc emit`).",
  DISPOSED: "Open a new device with openDevice().",
};

/** Makes a {@link LosscError} of what the addon threw: an error with a `code`, maybe a `log`. Anything else is a fault of the device. */
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

/** Awaits work of the addon; what it rejects with is wrapped. */
export async function native<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw wrapNative(error);
  }
}
