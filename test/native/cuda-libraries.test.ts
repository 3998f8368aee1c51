/** Which of CUDA's libraries are taken, where there are several and a driver that is older than some. Each search is made in a process of its own. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { NativeAddon } from "../../runtime/addon/native.js";
import { FakeMachine, installFake } from "./fake/machine.js";
import { addonPath, scratchFile } from "./support.js";

const machine = new FakeMachine();
afterAll(() => machine.remove());

const DRIVER_12 = { LOSSC_FAKE_DRIVER: "12040" };
const DRIVER_13 = { LOSSC_FAKE_DRIVER: "13000" };
const NO_DRIVER = { LOSSC_LIBCUDA: "/nowhere/libcuda.so.1" };

let made = 0;
const folder = () => scratchFile(`libraries${made++}`);

/** A folder with libraries in `lib64`: `{ "libnvrtc.so.12": "12.4 80 90" }`. */
function toolkit(libraries: Readonly<Record<string, string>>) {
  const home = folder();
  const lib = join(home, "lib64");
  for (const [name, about] of Object.entries(libraries))
    installFake(name.startsWith("libnvrtc") ? "nvrtc" : "cublas", join(lib, name), about);
  return { home, lib, file: (name: string) => join(lib, name) };
}

function elsewhere<T>(env: NodeJS.ProcessEnv, script: string): T {
  const program = `const addon = require(process.env.ADDON); (async () => ${script})().then((x) => console.log(JSON.stringify(x)))`;
  const unset = { LOSSC_LIBNVRTC: "", LOSSC_LIBCUBLAS: "", CUDA_HOME: "", CUDA_PATH: "" };
  const output = execFileSync(process.execPath, ["-e", program], {
    env: { ...process.env, ...unset, ADDON: addonPath, ...env },
    encoding: "utf8",
  });
  return JSON.parse(output) as T;
}

const search = (env: NodeJS.ProcessEnv) => elsewhere<ReturnType<NativeAddon["libraries"]>>(env, "addon.libraries()");
const failing = (env: NodeJS.ProcessEnv, call: string) =>
  elsewhere<{ code: string; message: string }>(
    env,
    `{ try { await ${call}; return {}; } catch ({ code, message }) { return { code, message }; } }`,
  );

const both = (major: number) => ({ [`libnvrtc.so.${major}`]: `${major}.0 80 90`, [`libcublas.so.${major}`]: `${major}.0.1` });

describe("the place", () => {
  test.each(["CUDA_HOME", "CUDA_PATH"])("that $%s names comes before the dynamic linker's own path", (variable) => {
    const [named, linked] = [toolkit(both(13)), toolkit(both(13))];
    const { nvrtc, cublas } = search({ ...DRIVER_13, [variable]: named.home, LD_LIBRARY_PATH: linked.lib });
    expect([nvrtc.path, cublas.path]).toEqual([named.file("libnvrtc.so.13"), named.file("libcublas.so.13")]);
  });

  test("is the dynamic linker's where none is named", () => {
    const linked = toolkit(both(13));
    const { nvrtc, cublas } = search({ ...DRIVER_13, LD_LIBRARY_PATH: linked.lib });
    expect([nvrtc.path, cublas.path]).toEqual([linked.file("libnvrtc.so.13"), linked.file("libcublas.so.13")]);
  });
});

describe("the major version", () => {
  const two = toolkit({ ...both(13), ...both(12) });

  test("is the driver's where newer ones lie beside", () => {
    const { nvrtc, cublas } = search({ ...DRIVER_12, CUDA_HOME: two.home });
    expect([nvrtc.path, nvrtc.version]).toEqual([two.file("libnvrtc.so.12"), "12.0"]);
    expect([cublas.path, cublas.version]).toEqual([two.file("libcublas.so.12"), "12.0.1"]);
  });

  test("is the newest where the driver takes it, and where there is no driver", () => {
    for (const env of [DRIVER_13, NO_DRIVER]) {
      const { nvrtc, cublas } = search({ ...env, CUDA_HOME: two.home });
      expect([nvrtc.version, cublas.version]).toEqual(["13.0", "13.0.1"]);
    }
  });

  test("may be older than the driver's, and of any minor", () => {
    const { nvrtc, cublas } = search({
      ...DRIVER_13,
      LOSSC_LIBNVRTC: two.file("libnvrtc.so.12"),
      LOSSC_LIBCUBLAS: two.file("libcublas.so.12"),
    });
    expect([nvrtc.version, cublas.version]).toEqual(["12.0", "12.0.1"]);
    const newer = toolkit({ "libnvrtc.so.12": "12.9 80 90" });
    expect(search({ ...DRIVER_12, CUDA_HOME: newer.home }).nvrtc.version).toBe("12.9");
  });

  test("is asked for where the file's name does not have it, and a library that does not fit is skipped for the next place", () => {
    const named = toolkit({ "libnvrtc.so": "13.0 80 90", "libcublas.so": "13.0.1" });
    const linked = toolkit(both(12));
    const { nvrtc, cublas } = search({ ...DRIVER_12, CUDA_HOME: named.home, LD_LIBRARY_PATH: linked.lib });
    expect([nvrtc.path, cublas.path]).toEqual([linked.file("libnvrtc.so.12"), linked.file("libcublas.so.12")]);
  });

  test("of a driver that does not start counts all the same", () => {
    const { cuda, nvrtc } = search({ ...DRIVER_12, CUDA_HOME: two.home, LOSSC_FAKE_FAIL: "cuInit:100:1" });
    expect(cuda).toMatchObject({ version: "12.4", problem: expect.stringContaining("does not start") });
    expect(nvrtc.version).toBe("12.0");
  });

  test("that is too new for the driver is reported with both versions and the way out", () => {
    const env = { ...DRIVER_12, LOSSC_LIBNVRTC: two.file("libnvrtc.so.13"), LOSSC_LIBCUBLAS: two.file("libcublas.so.13") };
    const { nvrtc, cublas } = search(env);
    expect(nvrtc.path).toBe(undefined);
    expect(nvrtc.problem).toContain(`${env.LOSSC_LIBNVRTC} is NVRTC 13.0, too new for the driver, which is of CUDA 12.4`);
    expect(cublas.problem).toContain(`${env.LOSSC_LIBCUBLAS} is cuBLAS 13.0.1, too new for the driver, which is of CUDA 12.4`);
    const compiling = failing(env, `addon.compileCuda("", [])`);
    expect(compiling.code).toBe("COMPILER_NOT_FOUND");
    expect(compiling.message).toMatch(/no NVRTC that can be used: .*13\.0.*12\.4.*cuda-nvrtc-12-9/);
    const multiplying = failing(
      env,
      `(() => {
        const device = addon.openCuda({ ordinal: 0 });
        const matrix = { memory: device.allocate(64), offset: 0, dtype: "f32" };
        const [a, b, c] = [matrix, matrix, { ...matrix, memory: device.allocate(64) }];
        return device.run([{ kind: "matmul", a, b, c, m: 2, n: 2, k: 2, transposeA: false, transposeB: false, alpha: 1, beta: 0 }]);
      })()`,
    );
    expect(multiplying.code).toBe("DEVICE_NOT_FOUND");
    expect(multiplying.message).toMatch(/cuBLAS, which cannot be used: .*13\.0\.1.*12\.4.*libcublas-12-9/);
  });
});

describe("NVRTC", () => {
  test("says which GPUs it compiles for", () => {
    const { home } = toolkit({ "libnvrtc.so.12": "12.8 75 90 120" });
    expect(search({ ...DRIVER_12, CUDA_HOME: home }).nvrtc.architectures).toEqual(["sm_75", "sm_90", "sm_120"]);
  });

  test("of CUDA 11 is too old, and so is a library that is none", () => {
    const old = installFake("nvrtc", join(folder(), "libnvrtc.so"), "11.8 80 90");
    expect(search({ LOSSC_LIBNVRTC: old }).nvrtc.problem).toContain(`${old} is too old an NVRTC (11.8): 12.0 or newer is needed`);
    const none = installFake("cublas", join(folder(), "libnvrtc.so"), "12.0.0");
    expect(search({ LOSSC_LIBNVRTC: none }).nvrtc.problem).toContain(`${none} is too old an NVRTC: 12.0 or newer is needed`);
    const stranger = installFake("nvrtc", join(folder(), "libcublas.so"), "12.0");
    expect(search({ LOSSC_LIBCUBLAS: stranger }).cublas.problem).toContain(`${stranger} lacks a function of cuBLAS`);
  });
});
