/** Helpers of the tests of `lossc build`: losses in a separate folder, built, and run where there is no compiler. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect } from "vitest";
import { lossc, type Run, type RunOptions } from "../cli/lossc.js";

const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));

/** Operators, inputs of several spaces, a constant, a helper from another file. */
export const FILES: Readonly<Record<string, string>> = {
  "package.json": '{ "type": "module" }',
  "src/helper.ts": "export type Low = number;\nexport const HALF: Low = 0.5;\n",
  "src/terms.loss.ts": `import { type Expr } from "lossc";
/** The shared fixtures. */
export const scaled = (x: Expr, by: Expr): Expr => x * by;
`,
  "src/mine.loss.ts": `import { defineLoss, exp, min, clamp } from "lossc";
import { HALF, type Low } from "./helper.js";
import { scaled } from "./terms.loss.js";
const low: Low = HALF;
/** The loss of the tests. */
export const mine = defineLoss({
  name: "mine",
  inputs: { logprobs: "token", advantages: "token", reward: { space: "sequence", default: 1 }, temperature: "batch" },
  config: { high: 1.2, sharp: true },
  loss(policy, inputs, config) {
    const ratio = exp(policy.logprobs - inputs.logprobs);
    const surrogate = min(scaled(ratio, inputs.advantages), clamp(ratio, low, config.high) * inputs.advantages);
    return config.sharp ? -surrogate * inputs.reward / inputs.temperature : -surrogate;
  },
});
`,
};

export const INPUTS = {
  lengths: [2, 1],
  logits: [1, 2, 3, 0, 0, 0, -1, 0.5, 2],
  target_tokens: [2, 0, 1],
  logprobs: [-0.4, -1, -1.5],
  advantages: [1, -1, 0.5],
  temperature: 2,
} as const;

/** Runs the loss and prints the outcome; `DTYPE` and `DEVICE` are of the environment. */
const MAIN = `import { openDevice } from "lossc";
import { mine } from "./dist/mine.js";
const device = await openDevice(process.env.DEVICE);
try {
  const compiled = await device.compile(mine, { dtype: process.env.DTYPE ?? "f32" });
  const out = await compiled.forwardBackward(${JSON.stringify(INPUTS)});
  const { logits, target_tokens, ...rest } = ${JSON.stringify(INPUTS)};
  const known = await compiled.forwardBackward({ ...rest, policy_logprobs: [-1, -1, -1] });
  console.log(JSON.stringify({ device: device.name, loss: out.loss, gradient: [...out.gradLogits], launches: out.launches + known.launches }));
} catch (error) {
  console.log(JSON.stringify({ device: device.name, code: error.code, message: error.message }));
} finally {
  await device.dispose();
}
`;

/** Production: ts-morph cannot be had. */
const WITHOUT_MORPH = `import module from "node:module";
const real = module._resolveFilename;
module._resolveFilename = function (name, ...rest) {
  if (/ts-morph|^typescript/.test(name)) throw new Error("ts-morph was asked for");
  return real.call(this, name, ...rest);
};
module.register("data:text/javascript," + encodeURIComponent('export function resolve(name, context, next) { if (/ts-morph|^typescript/.test(name)) throw new Error("ts-morph was asked for"); return next(name, context); }'));
`;

/** A folder outside of the project where \`lossc\` is installed; removed after the file's tests. */
export function project(): string {
  const root = mkdtempSync(join(tmpdir(), "lossc-ahead-"));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, "src"));
  mkdirSync(join(root, "node_modules"));
  symlinkSync(PACKAGE, join(root, "node_modules", "lossc"));
  for (const [name, text] of Object.entries({ ...FILES, "main.js": MAIN, "production.js": WITHOUT_MORPH }))
    writeFileSync(join(root, name), text);
  return root;
}

/** Builds the loss of the tests into `dist`. */
export function build(root: string, args: readonly string[], options: RunOptions = {}): Promise<Run> {
  return lossc(["build", "src/mine.loss.ts", "--out", "dist", ...args], { cwd: root, ...options });
}

export interface Outcome {
  readonly device: string;
  readonly loss: number;
  readonly gradient: readonly number[];
  readonly launches: number;
  readonly code?: string;
  readonly message?: string;
}

/** Runs the built loss in a process that has no compiler, no ts-morph, no home and an environment that holds nothing but `env`. */
export function production(root: string, env: Readonly<Record<string, string | undefined>> = {}): Outcome {
  const { LOSSC_ADDON } = process.env;
  const { stdout, stderr, status } = spawnSync(process.execPath, ["--import", "./production.js", "main.js"], {
    cwd: root,
    encoding: "utf8",
    env: {
      PATH: "",
      CXX: "/nowhere/c++",
      CUDA_HOME: "/nowhere",
      HOME: root,
      LOSSC_CACHE_DIR: join(root, "cache"),
      DEVICE: "cpu",
      ...(LOSSC_ADDON && { LOSSC_ADDON }),
      ...env,
    },
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return JSON.parse(stdout) as Outcome;
}
