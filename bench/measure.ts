/** Times everything of one shape in turns: losses, and copies of their logits. */
import { LosscError } from "../dsl/errors.js";
import type { LossDefinition } from "../dsl/index.js";
import type { Device } from "../runtime/devices/device.js";
import { type Batch, inputsOf, makeBatch } from "./batch.js";
import { requireCorrect } from "./correct.js";
import { type PeerReport, torchLoss } from "./peers.js";
import type { Shape } from "./shapes.js";

/** The copies read and write every logit, from one buffer to another, through the same pool and queue as the losses. */
const COPIES = {
  comment: "Yardsticks: a copy as a loop over floats, and as calls of memcpy.",
  kernels: [
    {
      id: "k0",
      body: `struct K0 {
  struct Args { const float* from; float* to; };
  LOSSC_FN static void element(const Args& a, index i) { store(a.to, i, load(a.from, i)); }
};`,
    },
    {
      id: "k1",
      body: `struct K1 {
  struct Args { const char* from; char* to; };
  LOSSC_FN static void element(const Args& a, index i) { __builtin_memcpy(a.to + i * 1024, a.from + i * 1024, 1024); }
};`,
    },
  ],
};

export interface Measured {
  readonly tokens: number;
  readonly vocab: number;
  readonly copies: readonly Timing[];
  readonly losses: readonly LossTiming[];
}

/** `milliseconds` of every round. */
export interface Timing {
  readonly name: string;
  readonly bytes: number;
  readonly milliseconds: readonly number[];
}

export interface LossTiming extends Timing {
  readonly sweeps: number;
  /** Times a copy of the same bytes that it is to stay below. */
  readonly ceiling: number;
  readonly peer: PeerReport | null;
}

export interface Rounds {
  readonly rounds: number;
  readonly warmUp: number;
}

export async function measure(device: Device, shape: Shape, rounds: Rounds, withPeers: boolean): Promise<Measured> {
  const { native } = device;
  if (native === null) throw new LosscError("DEVICE_NOT_FOUND", "a copy to compare with needs the addon: see lossc devices");
  const batch = makeBatch(shape);
  const inPlace = { ...batch, logits: batch.logits.slice() };
  const calls = [];
  for (const loss of shape.losses) calls.push(await prepare(device, loss, batch, inPlace));
  const unit = await device.loadUnit(COPIES);
  const to = new Float32Array(batch.logits.length);
  const copies = {
    "copy, loop": () => native.run([unit.launch("k0", to.length, [batch.logits, to])]),
    "copy, memcpy": () => native.run([unit.launch("k1", to.byteLength / 1024, [batch.logits, to])]),
  };
  const contestants = [...Object.values(copies), ...calls.map(({ run }) => run)];
  const taken = await race(contestants, rounds, () => inPlace.logits.set(batch.logits));
  if (Buffer.compare(Buffer.from(batch.logits.buffer), Buffer.from(to.buffer)) !== 0)
    throw new LosscError("DEVICE_FAULT", "the copy did not copy");
  const names = Object.keys(copies);
  return {
    tokens: shape.tokens,
    vocab: shape.vocab,
    copies: names.map((name, i) => ({ name, bytes: 2 * to.byteLength, milliseconds: taken[i] as number[] })),
    losses: calls.map(({ loss, plan, value }, i) => ({
      name: loss.name,
      bytes: shape.tokens * (shape.vocab * plan.bytes.perEntry + plan.bytes.perToken),
      milliseconds: taken[names.length + i] as number[],
      sweeps: plan.sweeps,
      ceiling: shape.ceiling,
      peer: shape.peers && withPeers ? torchLoss(loss.name, batch, { ...shape, ...rounds }, value) : null,
    })),
  };
}

/** Compiles a loss and judges its result; the call that is timed overwrites `inPlace`. */
async function prepare(device: Device, loss: LossDefinition, batch: Batch, inPlace: Batch) {
  const compiled = await device.compile(loss, { vocab: batch.logits.length / batch.target_tokens.length });
  const found = await compiled.forwardBackward(inputsOf(batch, loss.inputs));
  await requireCorrect(loss, batch, found);
  const given = inputsOf(inPlace, loss.inputs);
  return { loss, plan: compiled.plan(), value: found.loss, run: () => compiled.forwardBackward(given, {}, { inPlace: true }) };
}

/** Milliseconds of each contestant; they take turns, round by round, on data laid down anew. */
async function race(
  contestants: readonly (() => Promise<unknown>)[],
  { rounds, warmUp }: Rounds,
  layDown: () => void,
): Promise<number[][]> {
  const taken = contestants.map((): number[] => []);
  for (let round = -warmUp; round < rounds; round++) {
    for (const [i, run] of contestants.entries()) {
      layDown();
      const start = performance.now();
      await run();
      if (round >= 0) taken[i]?.push(performance.now() - start);
    }
  }
  return taken;
}
