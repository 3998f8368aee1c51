/** How long a loss takes from its definition to loaded kernels: never seen before, and with its binary in the cache. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LossDefinition } from "../dsl/index.js";
import { openDevice } from "../runtime/devices/index.js";
import { forwardKlOf, usersPpoNamed } from "./losses.loss.js";
import { timed } from "./race.js";
import type { Figure } from "./report.js";

/** Rounds are seconds long on some machines. */
const MOST_ROUNDS = 10;
const WARM_UP = 3;
const VOCAB = 128256;

/** A definition and everything made of it are thrown away after a round; so are the names, which are part of the kernels' text. */
export async function compileTimes(name: string, rounds: number): Promise<Figure[]> {
  const dtype = name === "cpu" ? "f32" : "bf16";
  const cuda = name !== "cpu";
  const cases = [
    { rows: "one row", define: (unseen: string) => usersPpoNamed(unseen), atMost: cuda ? 300 : null },
    { rows: "two rows", define: (unseen: string) => forwardKlOf(dtype, unseen), atMost: cuda ? 800 : null },
  ];
  return inOwnCache(async () => {
    // The second device has the binaries of the first on disk, and nothing of them loaded.
    await using first = await openDevice(name);
    await using second = await openDevice(name);
    const compile = (device: typeof first, loss: LossDefinition) => device.compile(loss, { dtype, vocab: VOCAB });
    const figures: Figure[] = [];
    for (const { rows, define, atMost } of cases) {
      const names = Array.from(
        { length: WARM_UP + Math.min(rounds, MOST_ROUNDS) },
        (_, round) => `${rows} ${process.pid} ${Date.now()} ${round}`,
      );
      const taken = async (device: typeof first) => {
        const times: number[] = [];
        for (const unseen of names) times.push(await timed(() => compile(device, define(unseen))));
        return times.slice(WARM_UP);
      };
      // One device after the other, not in turns: whoever loads a cached loss has not had a compiler on all cores just before.
      const [fresh, cached] = [await taken(first), await taken(second)];
      figures.push({ name: `definition to loaded kernel, never seen, ${rows}`, unit: "ms", values: fresh, atMost });
      figures.push({ name: `the same, cached, ${rows}`, unit: "ms", values: cached, atMost: 5 });
    }
    return figures;
  });
}

async function inOwnCache<T>(work: () => Promise<T>): Promise<T> {
  const before = process.env.LOSSC_CACHE_DIR;
  const folder = await mkdtemp(join(tmpdir(), "lossc-bench-cache-"));
  process.env.LOSSC_CACHE_DIR = folder;
  try {
    return await work();
  } finally {
    if (before === undefined) delete process.env.LOSSC_CACHE_DIR;
    else process.env.LOSSC_CACHE_DIR = before;
    await rm(folder, { recursive: true, force: true });
  }
}
