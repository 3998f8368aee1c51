/** The command line on the fake GPU, in processes of its own. */
import { existsSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { KERNELS_MARK, PRELUDE_MARK } from "../../codegen/emit/index.js";
import { CASE, type EvalResult, failure, lossc, MAIN, PLAIN, result } from "../cli/lossc.js";
import { fakeMachine } from "./machine.js";

const machine = fakeMachine();

beforeAll(async () => {
  expect(existsSync(MAIN), "the command line is built").toBe(true);
  // The built command line has a prelude of its own: it may be older or newer than the sources.
  const { stdout } = await lossc(["emit", "ppo", "--target", "emulated"]);
  machine.prelude = stdout.slice(stdout.indexOf(PRELUDE_MARK) + PRELUDE_MARK.length, stdout.indexOf(KERNELS_MARK));
});

describe("lossc eval --device cuda", () => {
  test("answers what reference answers, in one launch", async () => {
    machine.take();
    const got = await result<EvalResult>(["eval", "ppo", "--device", "cuda"], { stdin: CASE });
    const { launches, entries } = machine.take();
    expect(launches.map(({ kernel, grid }) => ({ kernel, grid }))).toEqual([{ kernel: "k0", grid: 1 }]);
    expect(entries.at(-1)).toEqual({ call: "contextEnds", allocations: 0, streams: 0, graphs: 0 });
    const expected = await result<EvalResult>(["eval", "ppo", "--device", "reference"], { stdin: CASE });
    expect([got.device, got.sweeps]).toEqual(["cuda:0", 1]);
    expect(got.loss).toBeCloseTo(expected.loss, 5);
    expect(got.grad_logits?.length).toBe(9);
    got.grad_logits?.forEach((g, i) => {
      expect(g).toBeCloseTo(expected.grad_logits?.[i] as number, 5);
    });
  });

  test("several cases, one of them a mistake", async () => {
    const cases = [
      { loss: "ppo", case: CASE },
      { loss: "cross_entropy", case: { ...PLAIN, target_tokens: [2, 0, 3] } },
      { loss: "cross_entropy", case: PLAIN },
    ];
    const got = await result<readonly (EvalResult & { error?: { code: string } })[]>(["eval", "--cases", "--device", "cuda:0"], {
      stdin: cases,
    });
    expect(got.map(({ device, error }) => error?.code ?? device)).toEqual(["cuda:0", "TARGET_OUT_OF_RANGE", "cuda:0"]);
  });

  test("is the default device where there is a GPU", async () => {
    expect((await result<EvalResult>(["eval", "cross_entropy"], { stdin: PLAIN })).device).toBe("cuda:0");
  });

  test.each([
    { fail: "cuLaunchKernel:700:1", code: "DEVICE_FAULT", exit: 1 },
    { fail: "cuStreamSynchronize:719:1", code: "DEVICE_FAULT", exit: 1 },
    { fail: "cuMemAlloc_v2:2:1", code: "DEVICE_OUT_OF_MEMORY", exit: 1 },
    { fail: "nvrtcCompileProgram:6:1", code: "COMPILE_FAILED", exit: 1 },
    { fail: "cuInit:100:1", code: "DEVICE_NOT_FOUND", exit: 2 },
  ])("$fail is $code, exit $exit", async ({ fail, code, exit }) => {
    // The text must not be in the cache already where compiling is to fail.
    const env = { LOSSC_FAKE_FAIL: fail, LOSSC_CACHE_DIR: `${process.env.LOSSC_CACHE_DIR}-${code}-${exit}` };
    const got = await failure(["eval", "ppo", "--device", "cuda"], { stdin: CASE, env });
    expect([got.code, got.exit]).toEqual([code, exit]);
  });
});

describe("without", () => {
  test("a driver: DEVICE_NOT_FOUND with the way out, exit 2, and cpu where no device is named", async () => {
    const env = { LOSSC_LIBCUDA: "/nowhere/libcuda.so.1" };
    const got = await failure(["eval", "ppo", "--device", "cuda"], { stdin: CASE, env });
    expect([got.code, got.exit]).toEqual(["DEVICE_NOT_FOUND", 2]);
    expect(got.message).toMatch(/libcuda\.so\.1.*"cpu" needs none/);
    expect((await result<EvalResult>(["eval", "cross_entropy"], { stdin: PLAIN, env })).device).toBe("cpu");
  });

  test("the GPU that is named: DEVICE_NOT_FOUND says how many there are", async () => {
    const got = await failure(["eval", "ppo", "--device", "cuda:3"], { stdin: CASE });
    expect([got.code, got.exit]).toEqual(["DEVICE_NOT_FOUND", 2]);
    expect(got.message).toContain("the driver sees 1");
  });
});

test("lossc devices lists the GPU with its architecture", async () => {
  const { stdout, code } = await lossc(["devices"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/cuda:0.*Fake GPU 0.*sm_\d+/s);
});
