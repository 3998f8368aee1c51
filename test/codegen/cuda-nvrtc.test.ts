/** Every kernel through the machine's NVRTC, with the options that the runtime gives it. No GPU is needed for that. */
import { afterAll, describe, expect, test } from "vitest";
import type { KernelText } from "../../codegen/emit/index.js";
import { forward_kl } from "../../losses/index.js";
import { loadAddon } from "../../runtime/addon/addon.js";
import type { NativeAddon } from "../../runtime/addon/native.js";
import { KernelCache } from "../../runtime/cache/index.js";
import { openCuda } from "../../runtime/compilers/index.js";
import { temporaryFolder } from "../runtime/support.js";
import { ALL, sampled } from "../sample.js";
import { ARCHITECTURES, alone, catalogue, core, training, VOCABS } from "./cuda-units.js";
import { squared } from "./golden-losses.js";

const addon = loadAddon().addon as NativeAddon | null;
const nvrtc = addon?.libraries().nvrtc;
const absent = nvrtc?.path === undefined;

describe.skipIf(absent)(`NVRTC${absent ? " is absent" : ` ${nvrtc.version}`}`, () => {
  const logs: string[] = [];
  /** The addon, with an ear to what NVRTC says. */
  const listening = {
    ...addon,
    libraries: () => (addon as NativeAddon).libraries(),
    compileCuda: async (source: string, options: readonly string[]) => {
      const compiled = await (addon as NativeAddon).compileCuda(source, options);
      logs.push(compiled.log);
      return compiled;
    },
  } as NativeAddon;
  const compile = async (text: KernelText, architecture: string) =>
    (await openCuda(new KernelCache(temporaryFolder()), listening, architecture)).compile(text);

  afterAll(() => expect(logs.join("")).toBe(""));

  // One compiler behind both: nvcc goes through all the combinations.
  const units = [
    ...ARCHITECTURES.map((architecture) => ({ architecture, dtype: "bf16" }) as const),
    ...(["f16", "f32"] as const).map((dtype) => ({ architecture: "sm_90", dtype }) as const),
  ];
  test.each(sampled("NVRTC", 2, units))("compiles every loss, $dtype, $architecture", async ({ architecture, dtype }) => {
    const { bytes } = await compile(core(dtype, VOCABS.long, architecture), architecture);
    expect(bytes.subarray(0, 4)).toEqual(Buffer.from("\x7fELF"));
  });

  test.runIf(ALL)("compiles all losses, short rows", async () => {
    expect((await compile(catalogue("bf16", VOCABS.short), "sm_90")).bytes.length).toBeGreaterThan(1000);
  });

  test("compiles steps that are no loss", async () => {
    expect((await compile(training(), "sm_90")).bytes.length).toBeGreaterThan(1000);
  });

  test("compiles a loss with one row in 0.3 s of one core, and with two in 0.8 s", async () => {
    // Other tests may be at work on the same cores: the processor's time is counted, and the best of three.
    const seconds = async (text: KernelText) => {
      const times: number[] = [];
      for (let i = 0; i < 3; i++) {
        const before = process.cpuUsage();
        await compile(text, "sm_90");
        const { user, system } = process.cpuUsage(before);
        times.push((user + system) / 1e6);
      }
      return Math.min(...times);
    };
    expect(await seconds(alone(squared, "bf16", VOCABS.long))).toBeLessThan(0.3);
    expect(await seconds(alone(forward_kl, "bf16", VOCABS.long))).toBeLessThan(0.8);
  });
});
