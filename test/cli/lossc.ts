/** Runs the built command line as people and programs do: in a process of its own. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished } from "vitest";

export const MAIN = fileURLToPath(new URL("../../dist/runtime/cli/main.js", import.meta.url));

/** A command that runs longer is ended, so that it does not outlive its test. */
const LONGEST_MS = 120_000;

export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Text or bytes for stdin, or a value to be written as JSON. */
  readonly stdin?: unknown;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export function lossc(args: readonly string[], { stdin = "", cwd, env }: RunOptions = {}): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], { cwd, env: { ...process.env, ...env }, timeout: LONGEST_MS });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (piece: Buffer) => out.push(piece));
    child.stderr.on("data", (piece: Buffer) => err.push(piece));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }));
    // A mistake on the command line is answered before stdin is read.
    child.stdin.on("error", () => {});
    child.stdin.end(typeof stdin === "string" || Buffer.isBuffer(stdin) ? stdin : JSON.stringify(stdin));
  });
}

/** Runs `lossc` where it must succeed, and gives its stdout as JSON. */
export async function result<T>(args: readonly string[], options?: RunOptions): Promise<T> {
  const run = await lossc(args, options);
  expect(run.stderr).toBe("");
  expect(run.code).toBe(0);
  return JSON.parse(run.stdout) as T;
}

/** Runs `lossc` where it must fail: one line of JSON on stdout, the same in words on stderr. */
export async function failure(
  args: readonly string[],
  options?: RunOptions,
): Promise<{ readonly code: string; readonly message: string; readonly stderr: string; readonly exit: number | null }> {
  const run = await lossc(args, options);
  expect(run.stdout).toMatch(/^\{"error":\{"code":"[A-Z_]+","message":".*"\}\}\n$/);
  const { error } = JSON.parse(run.stdout) as { error: { code: string; message: string } };
  expect(run.stderr).toContain(`lossc: ${error.code}: ${error.message}`);
  return { ...error, stderr: run.stderr, exit: run.code };
}

export interface EvalResult {
  readonly device: string;
  readonly sweeps: number;
  readonly loss: number;
  readonly logprobs: number[];
  readonly grad_logits?: number[];
  readonly grad_logprobs?: number[];
  readonly metrics: Record<string, number>;
  readonly outputs: Record<string, number[]>;
}

/** A folder outside of the project, with files in it; removed after the test. */
export function folder(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), "lossc-test-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

/** Two sequences, three entries. */
export const CASE = {
  lengths: [2, 1],
  vocab: 3,
  logits: [1, 2, 3, 0, 0, 0, -1, 0.5, 2],
  target_tokens: [2, 0, 1],
  inputs: { logprobs: [-0.4, -1, -1.5], advantages: [1, -1, 0.5] },
} as const;
/** The same without what only other losses than cross_entropy take. */
export const PLAIN = { ...CASE, inputs: {} } as const;
