/** `lossc emit`, `lossc devices` and `lossc check`. */
import { describe, expect, test } from "vitest";
import type { Plan } from "../../codegen/loss-plan.js";
import type { DevicesReport } from "../../runtime/cli/devices.js";
import { failure, folder, lossc, result } from "./lossc.js";

describe("lossc emit", () => {
  test("prints the text for CUDA, bf16 and sm_90 by default, and the same with these said", async () => {
    const text = await lossc(["emit", "ppo"]);
    expect(text).toMatchObject({ code: 0, stderr: "" });
    expect(text.stdout).toContain("__global__");
    expect(text.stdout).not.toContain("#include");
    expect(await lossc(["emit", "ppo", "--target", "cuda", "--dtype", "bf16", "--arch", "sm_90", "--vocab", "131072"])).toEqual(
      text,
    );
  });

  test("prints other targets and dtypes, and the plan as JSON", async () => {
    for (const target of ["cpu", "emulated"]) {
      const { code, stdout } = await lossc(["emit", "dro", "--target", target, "--dtype", "f32", "--vocab", "1000"]);
      expect(code).toBe(0);
      expect(stdout).not.toContain("__global__");
    }
    const plan = await result<Plan>(["emit", "dro", "--plan", "--dtype", "f16"]);
    expect(plan).toMatchObject({ format: 2, name: "dro", logits: "f16", sweeps: 1, config: { beta: 0.05 } });
  });

  test("prints a name of the user's in comments alone", async () => {
    const source = (name: string) =>
      `import { defineLoss, neg } from "lossc";\nexport const odd = defineLoss({ name: ${JSON.stringify(name)}, loss: (policy) => neg(policy.logprobs) });`;
    const root = folder({ "odd.ts": source('x"; }'), "worse.ts": source("*/ #error\n#error ??/ \\") });
    for (const target of ["cuda", "cpu", "emulated"]) {
      for (const file of ["odd.ts", "worse.ts"]) {
        const { stdout } = await lossc(["emit", `${file}#odd`, "--target", target], { cwd: root });
        const plain = await lossc(["emit", "cross_entropy", "--target", target]);
        expect(stripComments(stdout)).toBe(stripComments(plain.stdout));
      }
    }
  });

  test("needs no device, no compiler and no addon", async () => {
    const root = folder({});
    const env = { PATH: root, CXX: undefined, LOSSC_ADDON: `${root}/none.node`, LOSSC_CACHE_DIR: `${root}/cache` };
    expect(await lossc(["emit", "ppo", "--target", "cpu"], { env })).toMatchObject({ code: 0, stderr: "" });
  });

  test("takes no config values: statics that change the text, scalars that the plan holds", async () => {
    const root = folder({
      "kind.loss.ts": `import { defineLoss, square } from "lossc";
export const kind = defineLoss({
  name: "kind",
  config: { beta: 0.5, kind: "plain", terms: { value: 1, static: true } },
  loss: (policy, inputs, config) => config.beta * (config.kind === "squared" ? square(policy.logprobs) : policy.logprobs ** config.terms),
});
`,
    });
    const emit = (...args: string[]) => lossc(["emit", "kind.loss.ts#kind", "--target", "cpu", ...args], { cwd: root });
    const plain = await emit();
    const squared = await emit("--config", "kind=squared");
    expect(squared.code).toBe(0);
    expect(squared.stdout).not.toBe(plain.stdout);
    expect(await emit("--config", '{"kind": "squared"}')).toEqual(squared);
    expect(await emit("--config", "terms=2,kind=plain", "--config", '{"terms": 1}')).toEqual(plain);
    const { config } = await result<Plan>(["emit", "kind.loss.ts#kind", "--plan", "--config", "beta=.25"], { cwd: root });
    expect(config).toEqual({ beta: 0.25 });
    for (const [given, code, says] of [
      ["bta=1", "CONFIG_UNKNOWN", '"beta"'],
      ["beta=x", "CONFIG_INVALID", "a finite number"],
      ["beta=1,", "USAGE", "NAME=VALUE"],
      ["beta", "USAGE", "beta=0.1,kind=squared"],
    ] as const) {
      const found = await failure(["emit", "kind.loss.ts#kind", "--config", given], { cwd: root });
      expect([found.code, found.exit]).toEqual([code, 2]);
      expect(found.message).toContain(says);
    }
  });

  test("prints what each pass leaves, and refuses to print the plan as well", async () => {
    const { stdout, code } = await lossc(["emit", "ppo", "--passes"]);
    expect(code).toBe(0);
    for (const pass of ["program", "gradient", "lower", "simplify", "k0: online softmax"])
      expect(stdout).toContain(`== ${pass}\n`);
    expect(await failure(["emit", "ppo", "--passes", "--plan"])).toMatchObject({ code: "USAGE", exit: 2 });
  });

  test("refuses an unknown loss", async () => {
    expect(await failure(["emit", "pp0"])).toMatchObject({ code: "LOSS_UNKNOWN", exit: 2 });
  });
});

/** The text without its comments, as a compiler sees it. */
function stripComments(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/\/\/(?:\\\n|[^\n])*/g, "")
    .replace(/\s+/g, " ")
    .trim();
}

describe("lossc devices", () => {
  test("lists every device and what it uses, for people and for programs", async () => {
    const report = await result<DevicesReport>(["devices", "--json"]);
    const names = report.devices.map(({ device }) => device);
    expect(names).toEqual(expect.arrayContaining(["cpu", "emulated", "reference"]));
    expect(report.parts.map(({ part }) => part)).toEqual([
      "addon",
      "C++ compiler",
      "CUDA driver",
      "NVRTC",
      "nvcc",
      "cuBLAS",
      "OpenBLAS",
      "cache folder",
    ]);
    expect(report.devices.find(({ device }) => device === "cpu")?.available).toBe(true);
    const { stdout, code } = await lossc(["devices"]);
    expect(code).toBe(0);
    for (const { device } of report.devices) expect(stdout).toContain(`  ${device}`);
  });

  test("says of what is missing how to mend it", async () => {
    const root = folder({});
    const report = await result<DevicesReport>(["devices", "--json"], {
      env: { PATH: root, CXX: undefined, LOSSC_ADDON: `${root}/none.node`, LOSSC_CACHE_DIR: `${root}/cache` },
    });
    expect(report.devices.filter(({ available }) => available).map(({ device }) => device)).toEqual(["reference"]);
    for (const { found, advice } of report.parts) if (!found) expect(advice).not.toBe("");
    expect(report.parts.find(({ part }) => part === "C++ compiler")?.advice).toContain("apt-get install");
    expect(report.parts.find(({ part }) => part === "addon")?.advice).toContain("npm run build");
  });
});
