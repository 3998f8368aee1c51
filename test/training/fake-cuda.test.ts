/**
 * Training on `cuda` without a GPU: the fakes of the driver, of NVRTC and of cuBLAS run the very commands that a GPU would get. And where nvcc is at
 * hand, the text of the training kernels is compiled by it for real, and its PTX is what the fakes run.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { preludeText, stepUnit } from "../../codegen/emit/index.js";
import { NgramModel } from "../../examples/model.js";
import { Random } from "../../examples/random.js";
import { TrainingClient } from "../../index.js";
import { findNvcc } from "../../runtime/compilers/index.js";
import { runProgram } from "../../runtime/compilers/process.js";
import { TRAINING_MODULE } from "../../runtime/training/kernels.js";
import { FakeMachine } from "../native/fake/machine.js";
import { expectClose, openOnly, temporaryFolder } from "../runtime/support.js";
import { data } from "./support.js";

const machine = new FakeMachine();
machine.prelude = preludeText("emulated");
const nvcc = await findNvcc();
if (nvcc !== null) machine.nvcc = nvcc;
const cache = mkdtempSync(join(tmpdir(), "lossc-fake-cache-"));
process.env.LOSSC_CACHE_DIR = cache;
afterAll(() => {
  machine.remove();
  rmSync(cache, { recursive: true, force: true });
});

test("cuda:0 (fake): a model trains as it does on cpu, on the GPU and with cuBLAS", async () => {
  const results = [];
  for (const name of ["cuda:0", "cpu"]) {
    const device = await openOnly(name);
    const model = await NgramModel.create(device, { vocab: 5, context: 3, width: 9, hidden: 300 }, new Random(3));
    const client = new TrainingClient({ policy: model, device });
    machine.take();
    const losses = [];
    for (let step = 0; step < 3; step++) {
      losses.push((await client.forwardBackward(data(), "ppo")).loss);
      await client.optimStep({ learningRate: 0.01, gradClipNorm: 1 });
    }
    const { entries, launches } = machine.take();
    // Forward: two steps of the policy; the loss, its hidden states made finite, and a look at both gradients of its head; backward: four; Adam and
    // the norm for each of four arrays.
    const replayed = entries.flatMap(({ kernels }) => (kernels as string[] | undefined) ?? []);
    expect(launches.length + replayed.length).toBe(name === "cpu" ? 0 : 3 * (2 + 4 + 4 + 8));
    expect(entries.filter(({ call }) => /gemm/i.test(call)).length).toBe(name === "cpu" ? 0 : 3 * 6);
    results.push({ losses, state: await model.state() });
  }
  const [gpu, cpu] = results as [(typeof results)[0], (typeof results)[0]];
  expectClose(gpu.losses, cpu.losses, 1e-5);
  for (const [name, tensor] of Object.entries(cpu.state.tensors))
    expectClose(gpu.state.tensors[name]?.data ?? [], tensor.data, 2e-5);
});

describe.skipIf(nvcc === null)(nvcc === null ? "nvcc is absent" : "nvcc", () => {
  test.each(["sm_80", "sm_90", "sm_100", "sm_120"])(
    "compiles the training kernels for %s, without spills",
    async (architecture) => {
      const folder = temporaryFolder();
      const file = join(folder, "training.cu");
      const { text } = stepUnit({ target: "cuda", ...TRAINING_MODULE });
      expect(text).not.toContain("#include");
      writeFileSync(file, text);
      const out = join(folder, "training.cubin");
      const args = [
        `-arch=${architecture}`,
        "-cubin",
        "-std=c++17",
        "-fmad=false",
        "-Xptxas",
        "-v,-warn-spills",
        "-o",
        out,
        file,
      ];
      const { status, output } = await runProgram(nvcc as string, args);
      expect(status, output).toBe(0);
      expect(output.match(/0 bytes spill stores, 0 bytes spill loads/g)).toHaveLength(TRAINING_MODULE.kernels.length);
    },
  );
});
