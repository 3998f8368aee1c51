/** Writes one kernel: the same text for every target. */

import type { PlanKernel } from "../../schedule/plan.js";
import { isSweep } from "../../schedule/schedule.js";
import { type BodyOptions, StepBody } from "./body.js";
import { SweepBody } from "./sweep.js";

export function writeKernel(options: BodyOptions): PlanKernel {
  const { id, planned } = options;
  const writer = isSweep(planned) ? new SweepBody(options) : new StepBody(options);
  // The arguments and the comment follow from what is written.
  const functions = [...writer.main(), ...writer.tails()];
  const body = [
    ...writer.comment(),
    `struct ${id.toUpperCase()} {`,
    "  struct Args {",
    ...writer.args.text,
    "  };",
    ...functions,
    "};",
  ].join("\n");
  const [kind, exchanged] = writer instanceof SweepBody ? (["sweep", writer.exchanged] as const) : (["step", 0] as const);
  return { id, kind, space: planned.space, arguments: writer.args.list, exchanged, body };
}
