/** What `forwardBackward` takes beyond its kernels, for a batch so small that little else is left. */

import { ppo } from "../losses/index.js";
import type { Device } from "../runtime/devices/device.js";
import { Batch } from "./batch.js";
import { launchesOf } from "./launches.js";
import { median, race } from "./race.js";
import type { Figure } from "./report.js";

const TOKENS = 16;
const VOCAB = 64;
/** Calls for each round that was asked for: they are short. */
const CALLS = 20;
/** As often are the launches repeated in one program: what that takes more than one of them is theirs, not the program's. */
const REPEATS = 16;

export async function overhead(device: Device, rounds: number): Promise<Figure[]> {
  const dtype = device.name === "cpu" ? "f32" : "bf16";
  using batch = await Batch.make(device, { tokens: TOKENS, vocab: VOCAB, length: 8, dtype });
  const compiled = await device.compile(ppo, { dtype, vocab: VOCAB });
  const inputs = batch.inputsOf(ppo, {});
  using launches = await launchesOf(compiled, inputs, batch, {});
  const { native } = batch.steps;
  const { commands } = launches;
  const repeated = Array.from({ length: REPEATS }, () => commands).flat();
  const [calls, once, often] = (await race(
    [() => compiled.forwardBackward(inputs, {}, { inPlace: true }), () => native.run(commands), () => native.run(repeated)],
    { rounds: CALLS * rounds, warmUp: CALLS },
    // In place on its own last gradient: what a copy between two calls costs would be counted, too.
    async () => {},
  )) as [number[], number[], number[]];
  const kernels = (median(often) - median(once)) / (REPEATS - 1);
  const values = calls.map((call) => 1000 * (call - kernels));
  return [
    { name: `forwardBackward beyond its kernels, T ${TOKENS} × V ${VOCAB}`, unit: "µs", values, atMost: 50 },
    { name: "its kernels", unit: "µs", values: [1000 * kernels], atMost: null },
  ];
}
