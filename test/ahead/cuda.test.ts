/** `lossc build` for GPUs: cubins by nvcc, and on the fake GPU the whole way to a launch. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { KERNELS_MARK, PRELUDE_MARK } from "../../codegen/emit/index.js";
import { fitting } from "../../runtime/ahead/shipped.js";
import { findNvcc } from "../../runtime/compilers/index.js";
import { lossc } from "../cli/lossc.js";
import { fakeMachine } from "../cuda/machine.js";
import { build, production, project } from "./support.js";

const machine = fakeMachine();
const nvcc = await findNvcc();

test.each([
  ["sm_90", ["sm_80", "sm_90"], "sm_90"],
  ["sm_89", ["sm_80", "sm_86", "sm_90"], "sm_86"],
  ["sm_80", ["sm_86"], undefined],
  ["sm_100", ["sm_90"], undefined],
  ["sm_121", ["sm_120", "sm_12"], "sm_120"],
  ["sm_103", ["sm_100", "sm_101"], "sm_100"],
  ["sm_92", ["sm_90a"], undefined],
  ["sm_90a", ["sm_90", "sm_90a"], "sm_90a"],
])("a GPU of %s takes, of %j, %s", (wanted, built, chosen) => {
  expect(fitting(wanted, built)).toBe(chosen);
});

describe("on the fake GPU, an sm_90", () => {
  const root = project();
  const gpu = () => ({
    DEVICE: "cuda:0",
    LOSSC_LIBCUDA: process.env.LOSSC_LIBCUDA,
    LOSSC_LIBNVRTC: "/nowhere/libnvrtc.so",
    LOSSC_FAKE_LOG: process.env.LOSSC_FAKE_LOG,
  });

  beforeAll(async () => {
    // The built command line has a prelude of its own: it may be older or newer than the sources.
    const { stdout } = await lossc(["emit", "ppo", "--target", "emulated"]);
    machine.prelude = stdout.slice(stdout.indexOf(PRELUDE_MARK) + PRELUDE_MARK.length, stdout.indexOf(KERNELS_MARK));
    const { stderr, code } = await build(root, ["--target", "cuda", "--arch", "sm_90", "--dtype", "f32", "--vocab", "3"]);
    expect([stderr, code]).toEqual(["", 0]);
  });

  test("the built loss is launched with neither NVRTC nor nvcc", () => {
    machine.take();
    const got = production(root, gpu());
    const oracle = production(root, { DEVICE: "reference" });
    expect(got.device).toBe("cuda:0");
    expect(machine.take().launches.length).toBe(got.launches);
    expect(got.launches).toBeGreaterThan(1);
    expect(got.loss).toBeCloseTo(oracle.loss, 5);
    got.gradient.forEach((g, i) => {
      expect(g).toBeCloseTo(oracle.gradient[i] as number, 5);
    });
  });

  test("is the default device, although nothing can be compiled for it", () => {
    expect(production(root, { ...gpu(), DEVICE: undefined }).device).toBe("cuda:0");
  });
});

describe.skipIf(nvcc === null)(nvcc ? "nvcc" : "nvcc is absent", () => {
  test("writes a cubin for each architecture", async () => {
    const root = project();
    const env = { LOSSC_LIBNVRTC: "/nowhere/libnvrtc.so", LOSSC_CACHE_DIR: join(root, "cache") };
    const args = ["--target", "cuda", "--arch", "sm_80,sm_90", "--dtype", "bf16", "--vocab", "128256"];
    const { stderr, code } = await build(root, args, { env });
    expect([stderr, code]).toEqual(["", 0]);
    const kernels = join(root, "dist/kernels");
    const names = readdirSync(kernels);
    expect(names.map((name) => name.replace(/-.*/, "")).sort()).toEqual(["sm_80", "sm_80", "sm_80", "sm_90", "sm_90", "sm_90"]);
    for (const name of names) {
      expect(readFileSync(join(kernels, name, "kernel.cubin")).subarray(0, 4)).toEqual(Buffer.from("\x7fELF"));
      expect(existsSync(join(kernels, name, "kernel.cu"))).toBe(true);
    }
  });
});
