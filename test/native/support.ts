/** Helpers of the addon's tests: the addon itself, kernels compiled in place, short programs. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect } from "vitest";
import type { Command, Memory, NativeAddon, NativeModule } from "../../runtime/addon/native.js";

/** The file under test; `scripts/sanitize.sh` names another. */
export const addonPath = process.env.LOSSC_ADDON ?? fileURLToPath(new URL("../../build/Release/lossc.node", import.meta.url));
export const addon = createRequire(import.meta.url)(addonPath) as NativeAddon;

const folder = mkdtempSync(join(tmpdir(), "lossc-native-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

export function scratchFile(name: string): string {
  return join(folder, name);
}

let made = 0;

/** The bytes of a shared object of kernels. */
export function compileKernels(source: string, standard = "c++17"): Uint8Array {
  return readFileSync(compileShared(source, standard));
}

/** A shared object; gives its path. */
export function compileShared(source: string, standard = "c++17"): string {
  const stem = scratchFile(`kernels${made++}`);
  writeFileSync(`${stem}.cc`, source);
  const flags = [`-std=${standard}`, "-O2", "-shared", "-fPIC", "-ffp-contract=off", "-Wno-psabi"];
  execFileSync(process.env.CXX ?? "c++", [...flags, "-o", `${stem}.so`, `${stem}.cc`], { stdio: "inherit" });
  return `${stem}.so`;
}

/** One field of an argument struct. */
export type Field =
  | { readonly pointer: Memory; readonly offset?: number }
  | { readonly int: number }
  | { readonly float: number };

export interface LaunchShape {
  readonly elements: number;
  readonly block?: number;
  readonly perBlock?: number;
  readonly cluster?: number;
  readonly shared?: number;
}

export function launch(module: NativeModule, kernel: string, fields: readonly Field[], shape: LaunchShape): Command {
  const bytes = new ArrayBuffer(fields.length * 8);
  const view = new DataView(bytes);
  const pointers: [number, Memory, number][] = [];
  fields.forEach((field, index) => {
    if ("pointer" in field) pointers.push([index, field.pointer, field.offset ?? 0]);
    else if ("int" in field) view.setBigInt64(index * 8, BigInt(field.int), true);
    else view.setFloat64(index * 8, field.float, true);
  });
  return {
    kind: "launch",
    module,
    kernel,
    elements: shape.elements,
    block: shape.block ?? 1,
    perBlock: shape.perBlock ?? 1,
    cluster: shape.cluster ?? 1,
    shared: shape.shared ?? 0,
    arguments: bytes,
    pointers,
  };
}

/** The same with shared memory for all that these kernels lay there. */
export function launchSharing(module: NativeModule, kernel: string, fields: readonly Field[], shape: LaunchShape): Command {
  return launch(module, kernel, fields, { shared: 8192, ...shape });
}

interface Coded {
  readonly code: string;
  readonly message: string;
  readonly log?: string;
}

function coded(error: unknown): Coded {
  expect(error).toBeInstanceOf(Error);
  return error as unknown as Coded;
}

/** The error that a call throws or rejects with. A call that succeeds fails the test. */
export async function failure(call: () => unknown): Promise<Coded> {
  try {
    await call();
  } catch (error) {
    return coded(error);
  }
  throw new Error("nothing was thrown");
}

export async function expectCode(code: string, call: () => unknown, message?: RegExp): Promise<void> {
  const error = await failure(call);
  expect(error.code, error.message).toBe(code);
  if (message !== undefined) expect(error.message).toMatch(message);
}
