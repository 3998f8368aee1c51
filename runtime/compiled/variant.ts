/** A plan with its binary on one device: what does not change from call to call. */
import type { KernelText, Launch, Plan, PlanKernel } from "../../codegen/plan.js";
import type { Command, Memory, NativeModule } from "../native.js";
import { type BatchShape, countOf } from "../structure.js";
import type { Place } from "./region.js";

export class Variant {
  readonly #launches: ReadonlyMap<string, Launch>;

  constructor(
    readonly plan: Plan,
    text: KernelText,
    private readonly module: NativeModule,
  ) {
    this.#launches = new Map(text.launches.map((launch) => [launch.kernel, launch]));
  }

  /** The launches of one call, in the plan's order. */
  launches(
    shape: BatchShape,
    /** Null where the kernel gets no memory: an input that takes its default. */
    places: ReadonlyMap<number, Place>,
    scalars: Readonly<Record<string, number>>,
    skipMasked: boolean,
  ): Command[] {
    const commands: Command[] = [];
    for (const kernel of this.plan.kernels) {
      const elements = countOf(shape, kernel.space);
      if (elements > 0) commands.push(this.command(kernel, elements, shape, places, scalars, skipMasked));
    }
    return commands;
  }

  private command(
    kernel: PlanKernel,
    elements: number,
    shape: BatchShape,
    places: ReadonlyMap<number, Place>,
    scalars: Readonly<Record<string, number>>,
    skipMasked: boolean,
  ): Command {
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
        case "skipMasked":
          fields.setBigInt64(field * 8, skipMasked ? 1n : 0n, true);
          break;
      }
    });
    return {
      kind: "launch",
      module: this.module,
      kernel: kernel.id,
      elements,
      block: launch.block,
      perBlock: launch.perBlock,
      cluster: launch.cluster,
      shared: launch.shared,
      arguments: bytes,
      pointers,
    };
  }
}
