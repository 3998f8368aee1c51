/**
 * `lossc bench`: what losses take from logits in memory to loss and gradient in the same memory, beside a copy of the same bytes on the same
 * device, and beside what other people's tools take. Nothing is timed before it was found right.
 */
import { LosscError } from "../dsl/errors.js";
import { requireWritable, save as saveFile } from "../runtime/cli/save.js";
import { write } from "../runtime/cli/stream.js";
import { drawnBy } from "../runtime/cli/svg.js";
import { openDevice } from "../runtime/devices/index.js";
import { compileTimes } from "./compiling.js";
import { type GeometryTimings, geometriesTableOf, measureGeometries } from "./geometries.js";
import { type HeadMeasured, measureHead } from "./head.js";
import { headFiguresOf, headTableOf } from "./head-report.js";
import { attempt, type Failure, type Measured, measure } from "./measure.js";
import { overhead } from "./overhead.js";
import { type Figure, figureLines, figuresOf, tableOf } from "./report.js";
import { expandRows, headShapeOf, KINDS, ROWS, shapesOf } from "./shapes.js";

export interface BenchOptions {
  readonly device?: string;
  readonly rows?: readonly string[];
  readonly rounds: number;
  readonly quick?: true;
  readonly peers: boolean;
  readonly json?: true;
  readonly svg?: string;
  readonly save?: string;
}

/** The output of `--json` and `--save`. */
interface Report {
  readonly device: string;
  readonly description: string;
  readonly date: string;
  readonly rounds: number;
  readonly shapes: Measured[];
  head: HeadMeasured | null;
  readonly geometries: GeometryTimings[];
  readonly figures: Figure[];
  readonly failed: Failure[];
}

/** JavaScript that has run a few times only is interpreted: a process that trains has run more. */
const WARM_UP = 30;
/** Of calls that take most of a second. */
const HEAD_WARM_UP = 3;

/** With the place where it happened. */
function failuresAt(at: string, { failed }: { readonly failed: readonly Failure[] }): Failure[] {
  return failed.map(({ name, problem }) => ({ name: `${name}, ${at}`, problem }));
}

/**
 * The function that draws the figures into a file. It is made before the measurements, which take minutes, so that a missing package is reported
 * first.
 */
async function drawingInto(path: string) {
  requireWritable("--svg", path);
  const { chartOf } = await drawnBy(["vega", "vega-lite"], () => import("./chart.js"));
  return async (shapes: readonly Measured[], device: string) => saveFile("--svg", path, await chartOf(shapes, device));
}

/** Measures, and gives the exit code: 1 where something was wrong or could not be timed. */
export async function bench({ device: name, rows: given, rounds, quick, peers, json, svg, save }: BenchOptions): Promise<0 | 1> {
  const unknown = given?.find((row) => !ROWS.includes(row));
  if (unknown !== undefined) throw new LosscError("LOSS_UNKNOWN", `the bench has no row "${unknown}"; it has ${ROWS.join(", ")}`);
  const rows = given && expandRows(given);
  const asked = (row: string) => rows?.includes(row) ?? true;
  const draw = svg === undefined ? null : await drawingInto(svg);
  await using device = await openDevice(name);
  const kind = device.native?.kind;
  if (kind !== "cpu" && kind !== "cuda")
    throw new LosscError("DEVICE_NOT_FOUND", `the bench measures cpu and cuda:N, not ${device.name}: see lossc devices`);
  const isTuning = rows?.includes("geometries") === true;
  if (isTuning && kind === "cpu") throw new LosscError("DEVICE_NOT_FOUND", "geometries are a GPU's: see lossc devices");
  const { description } = device;
  const shapes: Measured[] = [];
  const figures: Figure[] = [];
  const failed: Failure[] = [];
  const geometries: GeometryTimings[] = [];
  const date = new Date().toISOString();
  const report: Report = { device: device.name, description, date, rounds, shapes, head: null, geometries, figures, failed };
  /** Prints measurements and saves everything so far, so that an interrupted run leaves its results. */
  const publish = async (text: string) => {
    if (save !== undefined) await saveFile("--save", save, `${JSON.stringify(report)}\n`);
    if (!json) await write(text);
  };
  await publish(`${description}; medians of ${rounds} rounds\n`);
  const turns = { rounds, warmUp: WARM_UP };
  for (const shape of shapesOf(kind, quick === true)) {
    const work = shape.work.filter(([{ name }]) => asked(name));
    if (work.length === 0) continue;
    const at = `T ${shape.tokens} × V ${shape.vocab}`;
    const measured = await attempt(at, failed, () => measure(device, { ...shape, work }, turns, peers));
    if (!measured) continue;
    shapes.push(measured);
    failed.push(...failuresAt(at, measured));
    figures.push(...figuresOf(measured, device.name));
    await publish(tableOf(measured));
  }
  if (asked("head")) {
    const head = await attempt("head", failed, () =>
      measureHead(device, headShapeOf(kind, quick === true), { rounds, warmUp: HEAD_WARM_UP }, peers),
    );
    if (head) {
      report.head = head;
      failed.push(...failuresAt("from hidden states", head));
      figures.push(...headFiguresOf(head));
      await publish(headTableOf(head));
    }
  }
  const others = {
    calls: { name: "overhead of a call", work: () => overhead(device, rounds) },
    compile: { name: "compile times", work: () => compileTimes(device.name, rounds) },
  };
  for (const [row, { name, work }] of Object.entries(others))
    if (asked(row)) figures.push(...((await attempt(name, failed, work)) ?? []));
  await publish(figureLines(figures));
  for (const shape of isTuning ? shapesOf(kind, quick === true) : []) {
    const work = shape.work.filter(([{ name }]) => KINDS.some((one) => one.name === name));
    const at = `geometries, T ${shape.tokens} × V ${shape.vocab}`;
    await attempt(at, failed, async () => {
      const each = measureGeometries(device, { ...shape, work }, turns, quick ? 2 : Infinity, failed);
      for await (const timings of each) {
        geometries.push(timings);
        failed.push(...failuresAt(`${timings.loss}, ${at}`, timings));
        await publish(geometriesTableOf(timings));
      }
    });
  }
  await draw?.(shapes, description);
  if (json) await write(`${JSON.stringify(report)}\n`);
  for (const { name, problem } of failed) process.stderr.write(`lossc: ${name} was not timed: ${problem}\n`);
  return failed.length > 0 ? 1 : 0;
}
