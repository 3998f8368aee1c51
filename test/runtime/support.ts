/** Helpers of the runtime's tests: devices by name, small batches, expected errors. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished } from "vitest";
import { ERROR_CODES, type ErrorCode, LosscError } from "../../dsl/errors.js";
import { loadAddon } from "../../runtime/addon/addon.js";
import type { Device, DeviceOptions } from "../../runtime/devices/device.js";
import { openDevice } from "../../runtime/index.js";

export type DeviceName = "reference" | "cpu" | "emulated" | "cuda:0";

/** Why there is no GPU here; null where there is one. */
export function whyNoGpu(): string | null {
  try {
    return (loadAddon().addon?.listCuda().length ?? 0) > 0 ? null : "no GPU";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Runs the suite on each device. A GPU that is absent is skipped by name; the others must be there, and `cpu` must be `cpu`: falling back to
 * `reference` fails.
 */
export function eachDevice(
  suite: (open: (options?: DeviceOptions) => Promise<Device>, name: DeviceName) => void,
  names = ALL_DEVICES,
): void {
  for (const name of names) {
    const absent = name === "cuda:0" ? whyNoGpu() : null;
    describe.skipIf(absent !== null)(absent === null ? name : `${name} is absent (${absent})`, () =>
      suite((options) => openOnly(name, options), name),
    );
  }
}

export const ALL_DEVICES: readonly DeviceName[] = ["reference", "cpu", "emulated", "cuda:0"];

/** Opens a device for one test; it must be the one that was asked for. */
export async function openOnly(name: string, options?: DeviceOptions): Promise<Device> {
  const device = await openDevice(name, options);
  onTestFinished(() => device.dispose());
  expect(device.name).toBe(name);
  return device;
}

/** The error that a call ends with. That there is one is part of the test, and so is that it has a message and a known code. */
export async function failure(call: () => unknown): Promise<LosscError> {
  let result: unknown;
  try {
    result = await call();
  } catch (error) {
    expect(error).toBeInstanceOf(LosscError);
    const problem = error as LosscError;
    expect(ERROR_CODES).toContain(problem.code);
    expect(problem.message.length).toBeGreaterThan(10);
    return problem;
  }
  throw new Error(`nothing was thrown; the call gave ${JSON.stringify(result)}`);
}

/** The call fails with this code and a message that says all of these. */
export async function expectError(code: ErrorCode, call: () => unknown, ...said: readonly string[]): Promise<LosscError> {
  const error = await failure(call);
  expect(error.code, error.message).toBe(code);
  for (const words of said) expect(error.message).toContain(words);
  return error;
}

/** An empty folder outside of the project, removed after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "lossc-runtime-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Sets environment variables (undefined: removes) until the test ends. */
export function withEnvironment(values: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(values)) {
    const before = process.env[name];
    const set = (to: string | undefined) => {
      if (to === undefined) delete process.env[name];
      else process.env[name] = to;
    };
    set(value);
    onTestFinished(() => set(before));
  }
}

/** Two data, three tokens, a vocabulary of four. */
export const LENGTHS = [2, 1];
export const VOCAB = 4;
export const LOGITS = [0.5, -1, 2, 0.25, 1, 1, -0.5, 3, -2, 0.125, 0.75, 1.5];
export const TARGETS = [2, 3, 1];

/** Inputs of `cross_entropy`, in fresh arrays, since calls may overwrite them. */
export function crossEntropyInputs() {
  return { lengths: [...LENGTHS], logits: Float32Array.from(LOGITS), target_tokens: Int32Array.from(TARGETS) };
}

/** Inputs of `ppo`. */
export function ppoInputs() {
  return { ...crossEntropyInputs(), logprobs: [-0.5, -0.25, -1.5], advantages: [1, -0.5, 2] };
}

/** Within float32 of each other. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 2e-6): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i] as number, expected[i] as number];
    if (!Number.isFinite(e)) expect(a, `element ${i}`).toBe(e);
    else expect(Math.abs(a - e), `element ${i}: ${a} beside ${e}`).toBeLessThanOrEqual(tolerance + tolerance * Math.abs(e));
  }
}

/** Whether a process runs. */
export function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie that nobody has collected yet is dead.
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}
