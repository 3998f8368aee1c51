/** A plan with its kernels on one device: the part of a compiled loss that all calls share. */

import type { Plan } from "../../codegen/loss-plan.js";
import type { ElementSpace, PlanArgument, PlanKernel } from "../../codegen/schedule/plan.js";
import type { Command } from "../addon/native.js";
import type { LaunchArgument, LoadedModule } from "../devices/device.js";
import { type BatchShape, countOf } from "../inputs/structure.js";
import type { Place } from "./region.js";

/** The elements of a kernel's space that a launch visits: `first` … `last` − 1. */
export interface Range {
  readonly first: number;
  readonly last: number;
}

/** The values of one call that the arguments of its launches are taken from. */
export interface LaunchContext {
  readonly shape: BatchShape;
  /** Null where the kernel gets no memory: an input that takes its default. */
  readonly places: ReadonlyMap<number, Place>;
  readonly scalars: Readonly<Record<string, number>>;
  readonly skipMasked: boolean;
  /** int32 per token: which row in memory is its own; null where they lie in the order of the tokens visited. */
  readonly rows: Place;
}

/** The kernels of a plan, loaded on a device. */
export class Executable {
  constructor(
    readonly plan: Plan,
    private readonly module: LoadedModule,
  ) {}

  /**
   * The launches of some kernels in their order, each over the elements that `range` gives, by default all of its space. An empty range has no
   * launch.
   */
  launches(
    kernels: readonly PlanKernel[],
    context: LaunchContext,
    range = (space: ElementSpace): Range => ({ first: 0, last: countOf(context.shape, space) }),
  ): Command[] {
    return kernels.flatMap((kernel) => {
      const { first, last } = range(kernel.space);
      const args = () => kernel.arguments.map((argument) => launchArgument(argument, { first, last }, context));
      return last > first ? [this.module.launch(kernel.id, last - first, args())] : [];
    });
  }
}

function launchArgument(
  argument: PlanArgument,
  range: Range,
  { shape, places, scalars, skipMasked, rows }: LaunchContext,
): LaunchArgument {
  switch (argument.kind) {
    case "buffer":
      return places.get(argument.buffer) ?? null;
    case "config":
      return { scalar: scalars[argument.name] as number };
    case "size":
      return { index: argument.of === "vocab" ? shape.vocab : countOf(shape, argument.of) };
    case "range":
      return { index: range[argument.end] };
    case "rows":
      return rows;
    case "skipMasked":
      return { index: Number(skipMasked) };
  }
}
