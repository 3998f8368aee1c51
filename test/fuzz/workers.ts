/** Workers: threads that open devices, compile and run, and are ended at any moment, leave the main thread its bits. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { type CompiledLoss, type Device, type LossDefinition, type LossInputs, losses, openDevice } from "../../index.js";
import { numbersFrom } from "../sample.js";
import { everyNumber, type Fuzzer, type Round } from "./fuzzer.js";

const LOSSES = ["ppo", "gspo"] as const;
const VOCABS = [16, 70];
const ENDS = ["return", "dispose", "throw", "exit"] as const;
const STEPS = ["opened", "compiled", "running"] as const;

interface Life {
  readonly loss: (typeof LOSSES)[number];
  readonly batch: number;
  readonly calls: number;
  readonly end: (typeof ENDS)[number];
  readonly at: (typeof STEPS)[number];
  /** The main thread ends it after so many milliseconds; null: it ends by itself. */
  readonly terminate: number | null;
}

interface WorkersCase {
  readonly lives: readonly Life[];
  /** With a cache of their own that is empty at first, so that workers are ended while compilers run. */
  readonly fresh: boolean;
}

const cases: fc.Arbitrary<WorkersCase> = fc.record({
  lives: fc.array(
    fc.record({
      loss: fc.constantFrom(...LOSSES),
      batch: fc.nat(VOCABS.length - 1),
      calls: fc.integer({ min: 1, max: 6 }),
      end: fc.constantFrom(...ENDS),
      at: fc.constantFrom(...STEPS),
      terminate: fc.option(fc.nat(400), { freq: 2 }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  fresh: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});

/** In memory that all threads share: a worker that ends does not take it along. */
function batchOf(vocab: number, tokens: number): LossInputs {
  const random = numbersFrom(vocab);
  const numbers = (length: number) => {
    const array = new Float32Array(new SharedArrayBuffer(4 * length));
    array.set(Float32Array.from({ length }, () => random() * 4 - 2));
    return array;
  };
  const targets = Int32Array.from({ length: tokens }, () => Math.floor(random() * vocab));
  const lengths = [tokens >> 1, tokens - (tokens >> 1)];
  return {
    lengths,
    vocab,
    logits: numbers(tokens * vocab),
    target_tokens: targets,
    logprobs: numbers(tokens),
    advantages: numbers(tokens),
  };
}

class WorkersRound implements Round<WorkersCase> {
  readonly cases = cases;

  private constructor(
    private readonly device: Device,
    private readonly batches: readonly LossInputs[],
    private readonly compiled: Readonly<Record<Life["loss"], CompiledLoss>>,
    /** By loss and batch. */
    private readonly expected: Readonly<Record<string, string>>,
  ) {}

  static async open(name: string): Promise<WorkersRound> {
    const device = await openDevice(name);
    const batches = VOCABS.map((vocab) => batchOf(vocab, name === "cpu" ? 1500 : 40));
    const on = (loss: Life["loss"]) => device.compile(losses[loss] as unknown as LossDefinition);
    const compiled = { ppo: await on("ppo"), gspo: await on("gspo") };
    const expected: Record<string, string> = {};
    for (const loss of LOSSES)
      for (const [i, batch] of batches.entries())
        expected[`${loss} ${i}`] = everyNumber(await compiled[loss].forwardBackward(batch));
    return new WorkersRound(device, batches, compiled, expected);
  }

  async check({ lives, fresh }: WorkersCase): Promise<void> {
    const cache = fresh ? mkdtempSync(join(tmpdir(), "lossc-workers-")) : undefined;
    try {
      await Promise.all([
        ...lives.map((life) => this.live(life, cache)),
        ...lives.map(({ loss, batch }) => this.same(loss, batch)),
      ]);
      for (const { loss, batch } of lives) await this.same(loss, batch);
      // Workers share the folder in any state: each finds its files there or makes them.
      const [first] = lives;
      if (cache && first) await this.live({ ...first, end: "dispose", terminate: null }, cache);
    } finally {
      if (cache) rmSync(cache, { recursive: true, force: true });
    }
  }

  /** A worker, from its start to its end. */
  private async live(life: Life, cache: string | undefined): Promise<void> {
    const { loss, calls, end, at, terminate } = life;
    const worker = new Worker(new URL("worker.mjs", import.meta.url), {
      workerData: { device: this.device.name, loss, calls, end, at, batch: this.batches[life.batch] },
      env: { ...process.env, ...(cache && { LOSSC_CACHE_DIR: cache }) },
    });
    let problem: Error | null = null;
    let results = 0;
    worker.on("error", (error) => {
      if (end !== "throw" || error.message !== "planted") problem = error;
    });
    worker.on("message", (list: readonly object[]) => {
      results += list.length;
      if (list.some((result) => everyNumber(result) !== this.expected[`${loss} ${life.batch}`]))
        problem = new Error("a worker's result has other bits than the main thread's");
    });
    const timer = terminate === null ? undefined : setTimeout(() => void worker.terminate(), terminate);
    await new Promise((resolve) => worker.once("exit", resolve));
    clearTimeout(timer);
    if (problem) throw problem;
    const whole = terminate === null && (end === "return" || end === "dispose");
    if (whole && results !== calls) throw new Error(`a worker gave ${results} results of ${calls}`);
  }

  /** A call of the main thread has the bits that it had before there were workers. */
  private async same(loss: Life["loss"], batch: number): Promise<void> {
    const got = everyNumber(await this.compiled[loss].forwardBackward(this.batches[batch] as LossInputs));
    if (got !== this.expected[`${loss} ${batch}`]) throw new Error("the main thread's result has other bits than before");
  }

  async close(): Promise<void> {
    await this.device.dispose();
  }
}

export const workers: Fuzzer<WorkersCase> = { runs: 12, open: WorkersRound.open };
