/** The command line on machines whose GPU, driver and CUDA toolkit do not fit each other. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DevicesReport } from "../../runtime/cli/devices.js";
import { CASE, failure, lossc, PLAIN, result } from "../cli/lossc.js";
import { installFake } from "../native/fake/machine.js";
import { fakeMachine } from "./machine.js";

fakeMachine();
const folder = mkdtempSync(join(tmpdir(), "lossc-libraries-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** An `nvcc` of this release, for `$LOSSC_NVCC`. */
function nvcc(release: string): string {
  const path = join(folder, `nvcc-${release}`);
  writeFileSync(path, `#!/bin/sh\necho "Cuda compilation tools, release ${release}, V${release}.1"\n`, {
    mode: 0o755,
  });
  return path;
}

async function devices(env: NodeJS.ProcessEnv) {
  const report = await result<DevicesReport>(["devices", "--json"], { env });
  const part = (name: string) => report.parts.find((row) => row.part === name);
  return { gpu: report.devices[0], nvrtc: part("NVRTC"), nvcc: part("nvcc"), cublas: part("cuBLAS") };
}

describe("a driver of CUDA 12 beside a toolkit of CUDA 13", () => {
  const env: NodeJS.ProcessEnv = { LOSSC_FAKE_DRIVER: "12040" };
  beforeAll(() => {
    env.LOSSC_NVCC = nvcc("13.0");
    env.LOSSC_LIBNVRTC = installFake("nvrtc", join(folder, "libnvrtc.so.13"), "13.0 80 90 120");
    env.LOSSC_LIBCUBLAS = installFake("cublas", join(folder, "libcublas.so.13"), "13.0.2");
  });

  test("is COMPILER_NOT_FOUND, with each of the versions and the way out", async () => {
    const { code, message } = await failure(["eval", "ppo", "--device", "cuda"], { stdin: CASE, env });
    expect(code).toBe("COMPILER_NOT_FOUND");
    expect(message).toMatch(/NVRTC: \S+ is NVRTC 13\.0, too new for the driver, which is of CUDA 12\.4/);
    expect(message).toMatch(/nvcc: \S+ is of CUDA 13\.0, too new for the driver, which is of CUDA 12\.4/);
    expect(message).toMatch(/install NVRTC .*that knows sm_90 and is of CUDA 12 at most, or a newer driver/);
  });

  test("leaves the CPU where no device is named, and says why", async () => {
    const { stdout, stderr } = await lossc(["eval", "cross_entropy"], { stdin: PLAIN, env });
    expect(JSON.parse(stdout)).toMatchObject({ device: "cpu" });
    expect(stderr).toMatch(/there is a GPU, but the device is cpu, because .*too new for the driver/);
  });

  test("is reported by lossc devices", async () => {
    const found = await devices(env);
    expect(found.gpu).toMatchObject({
      device: "cuda:0",
      available: false,
      description: expect.stringMatching(/sm_90.*13\.0.*12\.4/),
    });
    for (const part of [found.nvrtc, found.nvcc, found.cublas]) {
      expect(part).toMatchObject({
        found: false,
        description: expect.stringMatching(/13\.0.* too new for the driver, which is of CUDA 12\.4/),
      });
    }
  });

  test("is cured by an older nvcc", async () => {
    const found = await devices({ ...env, LOSSC_NVCC: nvcc("12.4") });
    expect(found.gpu).toMatchObject({ available: true });
    expect(found.nvcc).toMatchObject({ found: true });
    expect(found.nvrtc?.advice).toMatch(/nvcc is used in its place/);
  });
});

describe("an NVRTC that does not know the GPU", () => {
  const env: NodeJS.ProcessEnv = { LOSSC_FAKE_ARCHITECTURE: "120" };
  beforeAll(() => {
    env.LOSSC_LIBNVRTC = installFake("nvrtc", join(folder, "libnvrtc.so.12"), "12.0 80 90");
  });

  test("is left for nvcc", async () => {
    expect((await devices({ ...env, LOSSC_NVCC: nvcc("13.0") })).gpu).toMatchObject({ available: true });
  });

  test("is reported where no nvcc fits", async () => {
    const { gpu, nvrtc } = await devices({ ...env, LOSSC_NVCC: nvcc("11.8") });
    expect(nvrtc).toMatchObject({ found: true, description: expect.stringContaining("(12.0)") });
    expect(gpu).toMatchObject({
      available: false,
      description: expect.stringMatching(/NVRTC 12\.0, which does not know sm_120/),
    });
    expect(gpu?.description).toMatch(/nvcc: \S+ is of CUDA 11\.8, and 12\.0 or newer is needed/);
  });
});
