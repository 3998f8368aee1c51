/**
 * Peak memory of the first call of a loss from hidden states on the CPU. It runs in a separate process: memory that was freed before, but stays
 * with the process, would hide what a call takes. Run by itself, this module reads a {@link Request} from its argument and prints bytes or null.
 */
import { fileURLToPath } from "node:url";
import { LosscError } from "../dsl/errors.js";
import { runProgram } from "../runtime/compilers/process.js";
import type { DeviceBuffer } from "../runtime/devices/device.js";
import { openDevice } from "../runtime/devices/index.js";
import { randomFrom } from "./batch.js";
import { disposeGradients, HeadBatch } from "./head-batch.js";
import { peakOf } from "./memory.js";
import { HEAD_WORK, type HeadShape } from "./shapes.js";

interface Request {
  readonly shape: Omit<HeadShape, "work">;
  /** Name of the work. */
  readonly name: string;
}

/** Bytes of each loss beyond inputs and gradients, by its name; none where they cannot be read. */
export async function peaksOf({ work, ...shape }: HeadShape): Promise<ReadonlyMap<string, number>> {
  const self = fileURLToPath(import.meta.url);
  const peaks = new Map<string, number>();
  for (const { name } of work) {
    const request: Request = { shape, name };
    const run = await runProgram(process.execPath, [self, JSON.stringify(request)]);
    if (run.status !== 0) throw new LosscError("DEVICE_FAULT", `the peak memory of ${name}: ${run.output.trim()}`);
    const bytes = JSON.parse(run.stdout) as number | null;
    if (bytes !== null) peaks.set(name, bytes);
  }
  return peaks;
}

async function peak({ shape, name }: Request): Promise<number | null> {
  await using device = await openDevice("cpu");
  const loss = HEAD_WORK.find((work) => work.name === name)?.loss(shape.dtype);
  if (!loss) throw new RangeError(`there is no ${name}`);
  const { tokens, vocab, dtype } = shape;
  const { uniform, normal } = randomFrom(1);
  // A call whose logprobs are found would touch the memory that is to be counted.
  using batch = await HeadBatch.make(
    device,
    { ...shape, work: [] },
    {
      target_tokens: Int32Array.from({ length: tokens }, () => Math.floor(uniform() * vocab)),
      logprobs: Float32Array.from({ length: tokens }, () => -Math.log(vocab) - 1.5 + normal()),
      advantages: Float32Array.from({ length: tokens }, normal),
    },
  );
  const compiled = await device.compile(loss, { dtype, vocab });
  let gradients = 0;
  const bytes = await peakOf(async () => {
    const found = await compiled.forwardBackward(batch.inputsOf(loss));
    for (const { byteLength } of [found.gradHidden, found.gradHead] as DeviceBuffer[]) gradients += byteLength;
    disposeGradients(found);
  });
  return bytes === null ? null : bytes - gradients;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.stdout.write(JSON.stringify(await peak(JSON.parse(process.argv[2] as string) as Request)));
