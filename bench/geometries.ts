/** Times of other geometries than those of `codegen/geometry.ts` on a GPU. The table there must hold the best ones that are found here. */
import { alternativesTo, type RowShape, type Spread, sized, spreadOf } from "../codegen/emit/geometry.js";
import type { Plan } from "../codegen/loss-plan.js";
import { rowBytesOf } from "../codegen/schedule/traffic.js";
import type { Device } from "../runtime/devices/device.js";
import { AddonDevice } from "../runtime/devices/native-device.js";
import { Batch } from "./batch.js";
import { near, ROUNDING, samplesOf } from "./correct.js";
import { type Launches, launchesOf } from "./launches.js";
import { attempt, type Failure } from "./measure.js";
import { median, type Rounds, race } from "./race.js";
import { WIDTH } from "./report.js";
import type { Shape, Work } from "./shapes.js";
import { copyOf } from "./steps.js";

/** One loss at one shape. */
export interface GeometryTimings {
  readonly loss: string;
  readonly tokens: number;
  readonly vocab: number;
  /** Milliseconds of the driver's copy of the bytes that the loss moves, by those that a copy of the logits took. */
  readonly copy: number;
  /** The table's first. `milliseconds` of every round, of the kernels alone. */
  readonly geometries: readonly { readonly spread: Spread; readonly milliseconds: readonly number[] }[];
  readonly failed: readonly Failure[];
}

/**
 * One loss of the shape after the other. Every geometry's gradient is compared with that of the table's before anything is timed. `most`: how many
 * others are tried. Losses that fail are listed in `failed`.
 */
export async function* measureGeometries(
  device: Device,
  shape: Shape,
  rounds: Rounds,
  most: number,
  failed: Failure[],
): AsyncGenerator<GeometryTimings> {
  if (!(device instanceof AddonDevice)) return;
  using batch = await Batch.make(device, shape, { teacher: shape.work.some(([work]) => work.teacher) });
  for (const [work] of shape.work) {
    const made: Launches[] = [];
    const timings = await attempt(work.name, failed, () => measureOne(device, work, batch, rounds, most, made));
    for (const launches of made) launches[Symbol.dispose]();
    if (timings) yield timings;
  }
}

/** `made` takes what is to be disposed of. */
async function measureOne(
  device: AddonDevice,
  work: Work,
  batch: Batch,
  rounds: Rounds,
  most: number,
  made: Launches[],
): Promise<GeometryTimings> {
  const { dtype, vocab, tokens } = batch.shape;
  const { native } = batch.steps;
  const loss = work.loss(dtype);
  const compiled = await device.compile(loss, { dtype, vocab });
  const inputs = batch.inputsOf(loss, work);
  const plan = compiled.plan();
  const shape = rowShapeOf(plan, vocab);
  /** The same of every sweep; what a sweep keeps in shared memory is its own. */
  const launchesBy = async (spread: Spread) => {
    const launches = await launchesOf(compiled, inputs, batch, work, (of) => ({ ...sized(spread, of), room: spread.room }));
    made.push(launches);
    return launches;
  };
  const gradients = async ({ commands }: Launches) => {
    await batch.layDown();
    await native.run(commands);
    return Promise.all(samplesOf(batch).map((t) => batch.row("gradient", t)));
  };
  const table = spreadOf(device.architecture, shape);
  const right = [{ spread: table, launches: await launchesBy(table) }];
  const wanted = await gradients((right[0] as (typeof right)[number]).launches);
  const failed: Failure[] = [];
  const others = alternativesTo(device.architecture, shape).filter((spread) => labelOf(spread) !== labelOf(table));
  for (const spread of others.slice(0, most)) {
    await attempt(labelOf(spread), failed, async () => {
      const launches = await launchesBy(spread);
      const rows = await gradients(launches);
      for (const [i, row] of rows.entries()) nearRow(row, wanted[i] as Float64Array, ROUNDING[dtype], labelOf(spread));
      right.push({ spread, launches });
    });
  }
  const copy = copyOf(batch.rows.logits.memory, batch.rows.gradient.memory, batch.bytes);
  const runs = [[copy], ...right.map(({ launches }) => launches.commands)];
  const [copies = [], ...taken] = await race(
    runs.map((commands) => () => native.run(commands)),
    rounds,
    () => batch.layDown(),
  );
  const moved = tokens * (vocab * plan.bytes.perEntry + plan.bytes.perToken);
  return {
    loss: work.name,
    tokens,
    vocab,
    copy: (median(copies) * moved) / (2 * batch.bytes),
    geometries: right.map(({ spread }, i) => ({ spread, milliseconds: taken[i] as number[] })),
    failed,
  };
}

/** Of the plan's first sweep, which has the most to exchange. */
function rowShapeOf(plan: Plan, vocab: number): RowShape {
  const sweep = plan.kernels.find(({ kind }) => kind === "sweep");
  if (!sweep) throw new RangeError(`${plan.name} has no sweep`);
  return { vocab, entryBytes: rowBytesOf(sweep.arguments, plan.buffers), values: sweep.exchanged };
}

function nearRow(found: Float64Array, wanted: Float64Array, rounding: number, geometry: string): void {
  const scale = wanted.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  wanted.forEach((x, v) => {
    near(found[v] as number, x, 1e-5 * scale, () => `entry ${v} of a gradient by ${geometry}`, 2 * rounding);
  });
}

/** The geometry in words: the threads that share a row, and the threads with room. */
export function labelOf({ threads, lanes, cluster, resident, room, shared }: Spread): string {
  const sharing = lanes < threads ? `${lanes} of ${threads} threads` : `${cluster} × ${threads} threads`;
  return `${sharing}, ${(shared / 1024).toFixed(0)} KiB${resident ? "" : ", not kept"}, room for ${room}`;
}

const PRINTED = 8;

/** The best of them and the table's. */
export function geometriesTableOf({ loss, tokens, vocab, copy, geometries, failed }: GeometryTimings): string {
  const lines = geometries
    .map(({ spread, milliseconds }, i) => ({ spread, time: median(milliseconds), isTables: i === 0 }))
    .sort((a, b) => a.time - b.time)
    .filter(({ isTables }, place) => isTables || place < PRINTED)
    .map(({ spread, time, isTables }) => {
      const figures = `${time.toFixed(3).padStart(9)} ms ${(time / copy).toFixed(3).padStart(7)} × copy`;
      return `  ${labelOf(spread).padEnd(WIDTH)} ${figures}${isTables ? ", the table's" : ""}`;
    });
  const wrong = failed.map(({ name, problem }) => `  ${name} was not timed: ${problem}`);
  return ["", `${loss}, T ${tokens} × V ${vocab}: ${geometries.length} geometries, kernels alone`, ...lines, ...wrong, ""].join(
    "\n",
  );
}
