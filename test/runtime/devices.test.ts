import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { defineLoss, mul, sum, variance } from "../../dsl/index.js";
import { ppo } from "../../losses/index.js";
import { loadAddon, wrapNative } from "../../runtime/addon/addon.js";
import { openDevice } from "../../runtime/index.js";
import { eachDevice, expectClose, expectError, openOnly, ppoInputs, temporaryFolder, whyNoGpu } from "./support.js";

const WORKER = fileURLToPath(new URL("worker.mjs", import.meta.url));

/** Opens a device in a process of its own, from the built package, and runs a loss there. */
function elsewhere(device: string, env: NodeJS.ProcessEnv) {
  const { stdout, stderr } = spawnSync(process.execPath, [WORKER, "open"], {
    env: { ...process.env, DEVICE: device, ...env },
    encoding: "utf8",
  });
  return { result: JSON.parse(stdout), stderr };
}

describe("names", () => {
  eachDevice((open, name) => {
    test("is called what it is", async () => {
      const device = await open();
      expect(device.name).toBe(name);
      expect(device.description).not.toBe("");
      expect(device.launches).toBe(0);
      expect(device.native === null).toBe(name === "reference");
    });
  });

  test("the default is cuda:0 where there is a GPU, else cpu", async () => {
    await using device = await openDevice();
    expect(device.name).toBe(whyNoGpu() === null ? "cuda:0" : "cpu");
  });
});

describe("machines that lack something get a working lossc and one clear line", () => {
  const lines = (stderr: string) => stderr.split("\n").filter((line) => line.includes("LosscWarning"));

  test("no C++ compiler", () => {
    for (const device of ["cpu", ""]) {
      const { result, stderr } = elsewhere(device, { PATH: temporaryFolder(), CXX: "" });
      expect(result.device).toBe("reference");
      expect(result.loss).toBeTypeOf("number");
      expect(lines(stderr).length).toBe(1);
      expect(stderr).toContain("apt-get install g++");
    }
  });

  test("no addon", () => {
    const env = { LOSSC_ADDON: join(temporaryFolder(), "lossc.node") };
    const { result, stderr } = elsewhere("cpu", env);
    expect(result.device).toBe("reference");
    expect(lines(stderr).length).toBe(1);
    expect(stderr).toContain("npm run build");
    for (const device of ["emulated", "cuda"]) {
      const { error } = elsewhere(device, env).result;
      expect(error.code).toBe("DEVICE_NOT_FOUND");
      expect(error.message).toContain("npm run build");
    }
  });

  test("nothing to say where nothing is missing", () => {
    expect(elsewhere("cpu", {})).toMatchObject({ result: { device: "cpu" }, stderr: "" });
  });
});

test("an addon that does not load says so", () => {
  const before = process.env.LOSSC_ADDON;
  process.env.LOSSC_ADDON = fileURLToPath(import.meta.url);
  try {
    expect(loadAddon()).toMatchObject({ addon: null, reason: expect.stringContaining("does not load") });
  } finally {
    if (before === undefined) delete process.env.LOSSC_ADDON;
    else process.env.LOSSC_ADDON = before;
  }
  expect(loadAddon().addon).not.toBe(null);
});

test("what the addon throws becomes a LosscError with the way out", () => {
  const thrown = Object.assign(new Error("no memory."), { code: "DEVICE_OUT_OF_MEMORY" });
  expect(wrapNative(thrown)).toMatchObject({
    code: "DEVICE_OUT_OF_MEMORY",
    message: expect.stringMatching(/^no memory\. Give fewer tokens/),
    cause: thrown,
  });
  expect(wrapNative({ code: "COMPILE_FAILED", message: "x", log: "line 1" })).toMatchObject({
    code: "COMPILE_FAILED",
    log: "line 1",
  });
  expect(wrapNative("broken")).toMatchObject({ code: "DEVICE_FAULT", message: expect.stringContaining("broken") });
  expect(wrapNative(Object.assign(new Error("x"), { code: "ENOENT" })).code).toBe("DEVICE_FAULT");
  const ours = wrapNative(thrown);
  expect(wrapNative(ours)).toBe(ours);
});

const coupled = defineLoss({ name: "coupled", loss: (policy) => [variance(policy.logprobs), mul(sum(policy.logprobs), 0.25)] });

function manyTokens(tokens: number, vocab: number) {
  return {
    lengths: [tokens - 700, 0, 700],
    logits: Float32Array.from({ length: tokens * vocab }, (_, i) => Math.sin(i * 0.37) * 4),
    target_tokens: Int32Array.from({ length: tokens }, (_, i) => (i * 7) % vocab),
  };
}

describe("the same bits", () => {
  test("on one thread and on several, and in every run", async () => {
    const results = [];
    for (const threads of [1, 2, 3, 7, undefined, 2]) {
      const device = await openOnly("cpu", { threads });
      if (threads) expect(device.native?.threads).toBe(threads);
      const compiled = await device.compile(coupled);
      const { loss, gradLogits, logprobs } = await compiled.forwardBackward(manyTokens(3000, 17));
      results.push({ loss, gradLogits, logprobs });
    }
    for (const result of results) expect(result).toEqual(results[0]);
  });

  test("in every order of lanes", async () => {
    const results = [];
    for (const order of ["forward", "reverse", 1, 2] as const) {
      const compiled = await (await openOnly("emulated", { order })).compile(coupled);
      const { loss, gradLogits } = await compiled.forwardBackward(manyTokens(1500, 5));
      results.push({ loss, gradLogits });
    }
    for (const result of results) expect(result).toEqual(results[0]);
  });

  test("for a token wherever it lies in the batch, so that an on-policy ratio is exactly 1", async () => {
    const compiled = await (await openOnly("cpu")).compile(ppo);
    const { logits, target_tokens } = manyTokens(1000, 33);
    const ones = (count: number) => new Float32Array(count).fill(1);
    const all = await compiled.forwardBackward({
      lengths: [1000],
      logits,
      target_tokens,
      logprobs: ones(1000),
      advantages: ones(1000),
    });
    const logprobs = all.logprobs as Float32Array;
    const first = 613;
    const rest = await compiled.forwardBackward({
      lengths: [1000 - first],
      logits: logits.slice(first * 33),
      target_tokens: target_tokens.slice(first),
      logprobs: logprobs.slice(first),
      advantages: ones(1000 - first),
    });
    expect(rest.logprobs).toEqual(logprobs.slice(first));
    expect(rest.loss).toBe(-(1000 - first));
  });
});

describe("hand-written step kernels", () => {
  const unit = {
    comment: "y = tanh(x) * by, and a count",
    kernels: [
      {
        id: "k0",
        body: "struct K0 { struct Args { const float* x; float* y; index n; double by; }; LOSSC_FN static void element(const Args& a, index i) { store(a.y, i, tanh_(load(a.x, i)) * float(a.by)); } };",
      },
      {
        id: "k1",
        body: "struct K1 { struct Args { float* y; index n; }; LOSSC_FN static void element(const Args& a, index i) { store(a.y, i, load(a.y, i) + 1.0f); } };",
      },
    ],
  };

  eachDevice(
    (open) => {
      test("run over their elements, in the order of the program", async () => {
        const device = await open();
        const loaded = await device.loadModule(unit);
        expect(loaded.launches.map(({ kernel }) => kernel)).toEqual(["k0", "k1"]);
        const count = 3001;
        const x = Float32Array.from({ length: count }, (_, i) => (i - 1500) / 700);
        const [input, output] = [await device.buffer(x), await device.buffer({ dtype: "f32", length: count + 1 })];
        const before = device.launches;
        await device.native?.run([
          loaded.launch("k0", count, [input.memory, { memory: output.memory, offset: 4 }, { index: count }, { scalar: 0.5 }]),
          loaded.launch("k1", count, [{ memory: output.memory, offset: 4 }, { index: count }]),
        ]);
        expect(device.launches - before).toBe(2);
        const read = await output.read();
        expect(read[0]).toBe(0);
        expectClose(
          read.slice(1),
          Float64Array.from(x, (v) => Math.tanh(v) * 0.5 + 1),
          1e-6,
        );
        await expectError("USAGE", () => loaded.launch("k2", 1, []), '"k2"', "k0, k1");
        await expectError("USAGE", () => loaded.launch("k0", 0, []), "0");
      });
    },
    ["cpu", "emulated", "cuda:0"],
  );
});

test("texts that are equal are compiled and loaded once per device", async () => {
  const device = await openOnly("cpu");
  const [one, two] = await Promise.all([device.compile(ppo, { vocab: 4 }), device.compile(ppo, { vocab: 5 })]);
  const results = await Promise.all([one.forwardBackward(ppoInputs()), two.forwardBackward(ppoInputs())]);
  expect(results[0]).toEqual(results[1]);
});
