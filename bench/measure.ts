/** Times everything of one shape in turns: losses, their launches by themselves, and copies of their logits. */
import type { LogitsDtype } from "../codegen/loss-program.js";
import { LosscError } from "../dsl/errors.js";
import type { LossDefinition } from "../dsl/index.js";
import type { Device } from "../runtime/devices/device.js";
import { bytesOf } from "../runtime/devices/dtypes.js";
import { Batch } from "./batch.js";
import { requireCorrect } from "./correct.js";
import { launchesOf } from "./launches.js";
import { type PeerReport, peersOf } from "./peers.js";
import { type Rounds, race } from "./race.js";
import type { Shape, Target, Work } from "./shapes.js";
import { copyOf } from "./steps.js";

export interface Measured {
  readonly tokens: number;
  readonly vocab: number;
  readonly dtype: LogitsDtype;
  readonly copies: readonly Timing[];
  readonly losses: readonly LossTiming[];
  /** null where they were not asked. */
  readonly peers: PeerReport | null;
  /** Losses that were not timed, because their result was wrong or absent. */
  readonly failed: readonly Failure[];
}

export interface Failure {
  readonly name: string;
  readonly problem: string;
}

/** Runs one part. A failure is recorded and the other parts go on, since GPUs are not always available. Mistakes of the bench itself are thrown. */
export async function attempt<T>(name: string, failed: Failure[], work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    // The addon's own have a code as well.
    if (!(error instanceof Error && "code" in error)) throw error;
    failed.push({ name, problem: `${error.code}: ${error.message}` });
    return null;
  }
}

/** `milliseconds` of every round. */
export interface Timing {
  readonly name: string;
  /** Moved from and to memory. */
  readonly bytes: number;
  readonly milliseconds: readonly number[];
}

export interface LossTiming extends Timing {
  readonly sweeps: number;
  readonly value: number;
  /** Bytes of the copy that it is compared with: what it would move if no row were masked. */
  readonly yardstick: number;
  readonly target: Target | null;
  /** The same launches without what `forwardBackward` does around them. */
  readonly launches: { readonly milliseconds: readonly number[] };
}

export async function measure(device: Device, shape: Shape, rounds: Rounds, withPeers: boolean): Promise<Measured> {
  using batch = await Batch.make(device, shape, { teacher: shape.work.some(([work]) => work.teacher) });
  const { steps, rows, bytes } = batch;
  const [from, to] = [rows.logits.memory, rows.gradient.memory];
  const copies = {
    [device.name === "cpu" ? "copy, memcpy" : "copy, the driver's"]: copyOf(from, to, bytes),
    "copy, 16-byte kernel": steps.copyByKernel(from, to, bytes),
  };
  for (const [name, command] of Object.entries(copies)) await requireCopy(name, batch, () => steps.native.run([command]));
  const calls = [];
  const failed: Failure[] = [];
  for (const [work, target] of shape.work) {
    const prepared = await attempt(work.name, failed, () => prepare(device, work, batch));
    if (prepared) calls.push({ work, target, ...prepared });
  }
  const contestants = [
    ...Object.values(copies).map((command) => () => steps.native.run([command])),
    ...calls.flatMap(({ run, launches }) => [run, () => steps.native.run(launches.commands)]),
  ];
  const taken = await race(contestants, rounds, () => batch.layDown());
  for (const { launches } of calls) launches[Symbol.dispose]();
  const names = Object.keys(copies);
  return {
    tokens: shape.tokens,
    vocab: shape.vocab,
    dtype: shape.dtype,
    copies: names.map((name, i) => ({ name, bytes: 2 * bytes, milliseconds: taken[i] as number[] })),
    losses: calls.map(({ work, target, plan, value }, i) => {
      const yardstick = shape.tokens * (shape.vocab * plan.bytes.perEntry + plan.bytes.perToken);
      return {
        name: work.name,
        bytes: yardstick - (work.masked ? unread(batch, plan.sweeps) : 0),
        yardstick,
        milliseconds: taken[names.length + 2 * i] as number[],
        sweeps: plan.sweeps,
        value,
        target,
        launches: { milliseconds: taken[names.length + 2 * i + 1] as number[] },
      };
    }),
    peers: shape.peers && withPeers ? await peersOf(batch, shape, rounds, calls) : null,
    failed,
  };
}

/** Bytes of logits that `skipMasked` spares each sweep. */
function unread({ perToken, shape: { vocab, dtype } }: Batch, sweeps: number): number {
  return perToken.weights.filter((weight) => weight === 0).length * vocab * bytesOf(dtype) * sweeps;
}

/** Compiles a loss and judges its result. */
async function prepare(device: Device, work: Work, batch: Batch) {
  const { dtype, vocab } = batch.shape;
  const loss: LossDefinition = work.loss(dtype);
  const compiled = await device.compile(loss, { dtype, vocab });
  const inputs = batch.inputsOf(loss, work);
  const run = () => compiled.forwardBackward(inputs, {}, { inPlace: true, skipMasked: work.masked === true });
  await batch.layDown();
  const found = await run();
  await requireCorrect(loss, work, batch, compiled, found);
  return { run, plan: compiled.plan(), value: found.loss, launches: await launchesOf(compiled, inputs, batch, work) };
}

/** Checks that a copy copies, at both ends of the rows. */
async function requireCopy(name: string, batch: Batch, run: () => Promise<unknown>): Promise<void> {
  const { memory, byteLength: bytes } = batch.rows.gradient;
  await batch.steps.native.run([{ kind: "fill", to: memory, offset: 0, bytes, value: 0 }]);
  await run();
  for (const t of [0, batch.shape.tokens >> 1, batch.shape.tokens - 1]) {
    const [wanted, found] = [await batch.row("logits", t), await batch.row("gradient", t)];
    if (wanted.some((z, v) => z !== found[v]))
      throw new LosscError("DEVICE_FAULT", `${name}: the row of token ${t} was not copied`);
  }
}
