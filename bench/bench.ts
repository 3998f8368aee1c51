/**
 * `lossc bench`: what losses take from logits in memory to loss and gradient in the same memory, beside a copy of the same bytes by the same
 * threads, and PyTorch where it is there. Nothing is timed before it was found right.
 */
import { writeFile } from "node:fs/promises";
import { LosscError } from "../dsl/errors.js";
import { openDevice } from "../runtime/devices/index.js";
import { type Measured, measure } from "./measure.js";
import { tableOf } from "./report.js";
import { LOSS_NAMES, QUICK, SHAPES } from "./shapes.js";

export interface BenchOptions {
  readonly rows?: readonly string[];
  readonly rounds: number;
  readonly quick?: true;
  readonly peers: boolean;
  readonly json?: true;
  readonly svg?: string;
}

const WARM_UP = 3;

export async function bench({ rows, rounds, quick, peers, json, svg }: BenchOptions): Promise<void> {
  const unknown = rows?.find((name) => !LOSS_NAMES.includes(name));
  if (unknown !== undefined)
    throw new LosscError("LOSS_UNKNOWN", `the bench has no loss "${unknown}"; it has ${LOSS_NAMES.join(", ")}`);
  await using device = await openDevice("cpu");
  if (device.name !== "cpu")
    throw new LosscError("DEVICE_NOT_FOUND", "the bench measures the device cpu, which is not to be had here: see lossc devices");
  if (!json) process.stdout.write(`${device.description}; medians of ${rounds} rounds\n`);
  const all: Measured[] = [];
  for (const shape of quick ? QUICK : SHAPES) {
    const losses = shape.losses.filter(({ name }) => rows?.includes(name) ?? true);
    if (losses.length === 0) continue;
    const measured = await measure(device, { ...shape, losses }, { rounds, warmUp: WARM_UP }, peers);
    all.push(measured);
    if (!json) process.stdout.write(tableOf(measured));
  }
  if (svg !== undefined) {
    const { chartOf } = await import("./chart.js");
    await writeFile(svg, await chartOf(all, device.description));
  }
  if (json)
    process.stdout.write(
      `${JSON.stringify({ device: device.description, date: new Date().toISOString(), rounds, shapes: all })}\n`,
    );
}
