/**
 * The output head: time of losses from hidden states to the gradients of hidden states and head, compared with the three matrix products alone, and
 * their memory beyond inputs and gradients. A result is checked before it is timed.
 */
import type { LogitsDtype } from "../codegen/loss-program.js";
import { ppo } from "../losses/index.js";
import type { Device, DeviceBuffer, LossResult } from "../runtime/devices/device.js";
import { near, ROUNDING, samplesOf } from "./correct.js";
import { disposeGradients, HeadBatch, headScaleOf } from "./head-batch.js";
import { peaksOf } from "./head-peak.js";
import { launchesOf } from "./launches.js";
import { attempt, type Failure } from "./measure.js";
import { askPeers, type PeerReport } from "./peers.js";
import { type Rounds, race } from "./race.js";
import type { HeadShape, Work } from "./shapes.js";
import { LOGITS_SCALE, rowOf } from "./steps.js";

/** `milliseconds` of every round. */
export interface HeadMeasured extends Pick<HeadShape, "tokens" | "width" | "vocab" | "dtype" | "yardstick" | "atMost"> {
  /** The three products, each whole. */
  readonly products: readonly number[];
  /** One sweep over all logits, in place. */
  readonly sweep: readonly number[];
  readonly losses: readonly HeadTiming[];
  readonly peers: PeerReport | null;
  readonly failed: readonly Failure[];
}

export interface HeadTiming {
  readonly name: string;
  readonly value: number;
  readonly milliseconds: readonly number[];
  /** Peak bytes of a first call beyond inputs and gradients; null where it cannot be read. */
  readonly peakBytes: number | null;
}

/**
 * By how much a gradient may differ, of the largest number of its row: sums have another order in products of another size, and are rounded chunk by
 * chunk.
 */
const TOLERANCE: Readonly<Record<LogitsDtype, number>> = { f32: 1e-4, bf16: 0.05, f16: 0.01 };
/** The same of the loss, for each token: rounded logits differ here and there. */
const LOSS_TOLERANCE: Readonly<Record<LogitsDtype, number>> = { f32: 1e-5, bf16: 1e-3, f16: 1e-4 };
/** The two that people write by hand. */
const PEER_LOSSES = ["cross_entropy", "ppo"];

export async function measureHead(device: Device, shape: HeadShape, rounds: Rounds, withPeers: boolean): Promise<HeadMeasured> {
  using batch = await HeadBatch.make(device, shape);
  const { tokens, width, vocab, dtype, yardstick, atMost } = shape;
  const peaks = device.name === "cpu" ? await peaksOf(shape) : new Map<string, number>();
  using whole = await Whole.make(batch);
  const failed: Failure[] = [];
  const calls = [];
  for (const work of shape.work) {
    const prepared = await attempt(work.name, failed, () => prepare(work, batch, whole));
    if (prepared) calls.push({ work, ...prepared });
  }
  using sweep = await whole.sweep();
  let last: LossResult | null = null;
  const { native } = batch.steps;
  const [products, sweeps, ...taken] = (await race(
    // The sweep comes right after the products: it finds the logits that these left.
    [
      () => native.run(whole.products),
      () => native.run(sweep.commands),
      ...calls.map(({ run }) => async () => {
        last = await run();
      }),
    ],
    rounds,
    async () => {
      if (last) disposeGradients(last);
      last = null;
    },
  )) as [number[], number[], ...number[][]];
  if (last) disposeGradients(last);
  const losses = calls.map(({ work, value }, i) => {
    const milliseconds = taken[i] as number[];
    return { name: work.name, value, milliseconds, peakBytes: peaks.get(work.name) ?? null };
  });
  const peers = withPeers ? await peersOf(batch, shape, rounds, losses) : null;
  return { tokens, width, vocab, dtype, yardstick, atMost, products, sweep: sweeps, losses, peers, failed };
}

/** Compiles a loss and judges its result from hidden states by that from all logits. */
async function prepare(work: Work, batch: HeadBatch, whole: Whole) {
  const { dtype, vocab } = batch.shape;
  const loss = work.loss(dtype);
  const compiled = await batch.device.compile(loss, { dtype, vocab });
  const run = () => compiled.forwardBackward(batch.inputsOf(loss));
  const found = await run();
  try {
    const wanted = await whole.call(work);
    await requireSame(work.name, batch, found, wanted);
  } finally {
    disposeGradients(found);
  }
  return { run, value: found.loss };
}

/** @throws LosscError `DEVICE_FAULT` with the first number that is another. */
export async function requireSame(
  name: string,
  batch: HeadBatch,
  found: LossResult,
  wanted: Pick<LossResult, "loss" | "gradHidden" | "gradHead">,
): Promise<void> {
  const { tokens, width, vocab, dtype } = batch.shape;
  near(found.loss, wanted.loss, LOSS_TOLERANCE[dtype] * tokens, () => `the loss of ${name} from hidden states`);
  const samples = samplesOf(batch);
  const targets = samples.map((t) => batch.perToken.target_tokens[t] as number);
  const rows = { gradHidden: samples, gradHead: [0, vocab >> 1, vocab - 1, ...targets] };
  for (const of of ["gradHidden", "gradHead"] as const) {
    for (const row of rows[of]) {
      const read = (result: typeof wanted) => rowOf(batch.steps.native, result[of] as DeviceBuffer, row, width);
      const [own, other] = [await read(found), await read(wanted)];
      const floor = TOLERANCE[dtype] * other.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      other.forEach((x, i) => {
        near(own[i] as number, x, floor, () => `number ${i} of row ${row} of ${of} of ${name}`, ROUNDING[dtype]);
      });
    }
  }
}

/** The same from all logits: what the head is judged by and compared with. */
class Whole {
  private constructor(
    private readonly batch: HeadBatch,
    private readonly logits: DeviceBuffer,
    private readonly gradHidden: DeviceBuffer,
    private readonly gradHead: DeviceBuffer,
  ) {}

  static async make(batch: HeadBatch): Promise<Whole> {
    const { tokens, width, vocab, dtype } = batch.shape;
    const made: DeviceBuffer[] = [];
    try {
      for (const length of [tokens * vocab, tokens * width, vocab * width])
        made.push(await batch.device.buffer({ dtype, length }));
    } catch (error) {
      for (const buffer of made) buffer.dispose();
      throw error;
    }
    return new Whole(batch, ...(made as [DeviceBuffer, DeviceBuffer, DeviceBuffer]));
  }

  get products() {
    return this.batch.products(this.logits, this.gradHidden, this.gradHead);
  }

  /** Loss and gradients, which the next call overwrites. */
  async call({ loss: lossOf }: Work): Promise<Pick<LossResult, "loss" | "gradHidden" | "gradHead">> {
    const {
      device,
      steps,
      shape: { dtype, vocab },
    } = this.batch;
    const loss = lossOf(dtype);
    const compiled = await device.compile(loss, { dtype, vocab });
    const [forward, ...backward] = this.products;
    await steps.native.run([forward]);
    const inputs = { ...this.batch.tokensOf(loss), logits: this.logits };
    const { loss: value } = await compiled.forwardBackward(inputs, {}, { inPlace: true });
    await steps.native.run(backward);
    return { loss: value, gradHidden: this.gradHidden, gradHead: this.gradHead };
  }

  /** The launches of ppo on the logits, where they lie. */
  async sweep() {
    const { device, steps, shape, lengths, perToken } = this.batch;
    const compiled = await device.compile(ppo, { dtype: shape.dtype, vocab: shape.vocab });
    const own: DeviceBuffer[] = [];
    for (const array of Object.values(perToken)) own.push(await device.buffer(array));
    const given = Object.fromEntries(Object.keys(perToken).map((name, i) => [name, own[i]]));
    const inputs = { lengths, logits: this.logits, ...given };
    const launches = await launchesOf(compiled, inputs, { device, steps, shape, lengths, rows: { gradient: this.logits } }, {});
    return {
      commands: launches.commands,
      [Symbol.dispose]() {
        for (const buffer of own) buffer.dispose();
        launches[Symbol.dispose]();
      },
    };
  }

  [Symbol.dispose](): void {
    for (const buffer of [this.logits, this.gradHidden, this.gradHead]) buffer.dispose();
  }
}

function peersOf(
  { device, perToken, shape }: HeadBatch,
  { length }: HeadShape,
  { rounds, warmUp }: Rounds,
  losses: readonly HeadTiming[],
): Promise<PeerReport> {
  const scales = { hidden: LOGITS_SCALE, head: headScaleOf(shape.width) };
  const about = { device: device.name, ...shape, length, scales, rounds, warm_up: warmUp };
  const values = losses.filter(({ name }) => PEER_LOSSES.includes(name)).map(({ name, value }) => [name, value] as const);
  return askPeers("head.py", about, { ...perToken }, new Map(values), Math.max(1e-2, LOSS_TOLERANCE[shape.dtype] * shape.tokens));
}
