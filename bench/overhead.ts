/** The time of `forwardBackward` beyond its kernels, measured on a batch so small that kernels take almost nothing. */

import type { LossDefinition } from "../dsl/index.js";
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
/** Until everything that a call runs is compiled. */
const WARM_UP = 1000;
/** As often are the launches repeated in one program: what that takes more than one of them is theirs, not the program's. */
const REPEATS = 16;

export async function overhead(device: Device, rounds: number): Promise<Figure[]> {
  const dtype = device.name === "cpu" ? "f32" : "bf16";
  using batch = await Batch.make(device, { tokens: TOKENS, vocab: VOCAB, length: 8, dtype });
  const compiled = await device.compile<LossDefinition>(ppo, { dtype, vocab: VOCAB });
  const inputs = batch.inputsOf(ppo, {});
  using launches = await launchesOf(compiled, inputs, batch, {});
  const { native } = batch.steps;
  const { commands } = launches;
  const repeated = Array.from({ length: REPEATS }, () => commands).flat();
  // One after the other, not in turns: a caller's loop does nothing else, and what waits between two calls of its own would be woken anew for each.
  const alone = async (run: () => Promise<unknown>) => {
    // In place on its own last gradient: a copy between two calls would be counted, too.
    const [taken] = await race([run], { rounds: CALLS * rounds, warmUp: WARM_UP }, async () => {});
    return taken as number[];
  };
  const calls = await alone(() => compiled.forwardBackward(inputs, {}, { inPlace: true }));
  const [once, often] = [await alone(() => native.run(commands)), await alone(() => native.run(repeated))];
  const kernels = (median(often) - median(once)) / (REPEATS - 1);
  const values = calls.map((call) => 1000 * (call - kernels));
  return [
    { name: `forwardBackward beyond its kernels, T ${TOKENS} × V ${VOCAB}`, unit: "µs", values, atMost: 50 },
    { name: "its kernels", unit: "µs", values: [1000 * kernels], atMost: null },
  ];
}
