/** A plan with its binary on one device: what does not change from call to call. */
import type { KernelText, Launch } from "../../codegen/emit/index.js";
import type { ElementSpace, Plan, PlanKernel } from "../../codegen/plan.js";
import type { Command, Memory, NativeModule } from "../native.js";
import { type BatchShape, countOf } from "../structure.js";
import type { Place } from "./region.js";

/** Which elements of a kernel's space a launch visits: from `first` up to, and without, `last`. */
export interface Range {
  readonly first: number;
  readonly last: number;
}

/** What the arguments of a launch are taken from. */
export interface LaunchContext {
  readonly shape: BatchShape;
  /** Null where the kernel gets no memory: an input that takes its default. */
  readonly places: ReadonlyMap<number, Place>;
  readonly scalars: Readonly<Record<string, number>>;
  readonly skipMasked: boolean;
  /** int32 per token: which row in memory is its own; null where they lie in the order of the tokens visited. */
  readonly rows: Place;
}

export class Variant {
  readonly #launches: ReadonlyMap<string, Launch>;

  constructor(
    readonly plan: Plan,
    text: KernelText,
    private readonly module: NativeModule,
  ) {
    this.#launches = new Map(text.launches.map((launch) => [launch.kernel, launch]));
  }

  /** The launches of some kernels in their order, each over all elements of its space or those that `range` tells; none over nothing. */
  launches(
    kernels: readonly PlanKernel[],
    context: LaunchContext,
    range = (space: ElementSpace): Range => ({ first: 0, last: countOf(context.shape, space) }),
  ): Command[] {
    return kernels.flatMap((kernel) => {
      const { first, last } = range(kernel.space);
      return last > first ? [this.command(kernel, { first, last }, context)] : [];
    });
  }

  private command(kernel: PlanKernel, range: Range, { shape, places, scalars, skipMasked, rows }: LaunchContext): Command {
    const launch = this.#launches.get(kernel.id);
    if (!launch) throw new RangeError(`the text has no kernel ${kernel.id}`);
    const bytes = new ArrayBuffer(kernel.arguments.length * 8);
    const fields = new DataView(bytes);
    const pointers: [number, Memory, number][] = [];
    kernel.arguments.forEach((argument, field) => {
      switch (argument.kind) {
        case "buffer": {
          const place = places.get(argument.buffer);
          if (place) pointers.push([field, place.memory, place.offset]);
          break;
        }
        case "config":
          fields.setFloat64(field * 8, scalars[argument.name] as number, true);
          break;
        case "size":
          fields.setBigInt64(field * 8, BigInt(argument.of === "vocab" ? shape.vocab : countOf(shape, argument.of)), true);
          break;
        case "range":
          fields.setBigInt64(field * 8, BigInt(range[argument.end]), true);
          break;
        case "rows":
          if (rows) pointers.push([field, rows.memory, rows.offset]);
          break;
        case "skipMasked":
          fields.setBigInt64(field * 8, skipMasked ? 1n : 0n, true);
          break;
      }
    });
    return {
      kind: "launch",
      module: this.module,
      kernel: kernel.id,
      elements: range.last - range.first,
      block: launch.block,
      perBlock: launch.perBlock,
      cluster: launch.cluster,
      shared: launch.shared,
      arguments: bytes,
      pointers,
    };
  }
}
