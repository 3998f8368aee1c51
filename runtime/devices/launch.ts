/** The one builder of launches: the kernels of a loaded module, and the commands that run them. */
import type { KernelText, Launch } from "../../codegen/emit/index.js";
import { LosscError } from "../../dsl/errors.js";
import { FIELD_BYTES } from "../addon/constants.js";
import type { Command, Memory, NativeModule } from "../addon/native.js";
import type { LaunchArgument, LoadedModule } from "./device.js";

export function loadedModule({ launches }: KernelText, module: NativeModule): LoadedModule {
  const geometries: ReadonlyMap<string, Launch> = new Map(launches.map((launch) => [launch.kernel, launch]));
  return {
    module,
    launches,
    launch(kernel: string, elements: number, args: readonly LaunchArgument[]): Command {
      const geometry = geometries.get(kernel);
      if (!geometry)
        throw new LosscError(
          "USAGE",
          `the module has no kernel "${kernel}"; its kernels are ${[...geometries.keys()].join(", ")}`,
        );
      if (!Number.isSafeInteger(elements) || elements < 1)
        throw new LosscError("USAGE", `a launch visits a whole number ≥ 1 of elements, not ${elements}`);
      const { block, perBlock, cluster, shared } = geometry;
      return { kind: "launch", module, kernel, elements, block, perBlock, cluster, shared, ...argumentStruct(args) };
    },
  };
}

/** The launch of a kernel whose first field is the number of its elements; none where there are no elements. */
export function elementLaunch(
  module: LoadedModule,
  kernel: string,
  elements: number,
  args: readonly LaunchArgument[],
): Command[] {
  return elements === 0 ? [] : [module.launch(kernel, elements, [{ index: elements }, ...args])];
}

/** `INPUT_LENGTH` for more elements than 32 bits count: kernels that find rows and columns divide in 32 bits, which is several times as fast. */
export function checkCountable(kernel: string, elements: number): void {
  if (elements >= 2 ** 32)
    throw new LosscError("INPUT_LENGTH", `${elements} elements are more than ${kernel} can count; give fewer tokens per call`);
}

/** The argument struct: numbers as bytes, and memory as pointers whose addresses the addon fills in. */
function argumentStruct(args: readonly LaunchArgument[]): Pick<Command & { kind: "launch" }, "arguments" | "pointers"> {
  const bytes = new ArrayBuffer(args.length * FIELD_BYTES);
  const fields = new DataView(bytes);
  const pointers: [number, Memory, number][] = [];
  args.forEach((argument, field) => {
    if (argument === null) return;
    if ("scalar" in argument) fields.setFloat64(field * FIELD_BYTES, argument.scalar, true);
    else if ("index" in argument) fields.setBigInt64(field * FIELD_BYTES, wholeNumber(argument.index, field), true);
    else if ("memory" in argument) pointers.push([field, argument.memory, argument.offset]);
    else pointers.push([field, argument, 0]);
  });
  return { arguments: bytes, pointers };
}

function wholeNumber(index: number, field: number): bigint {
  if (!Number.isSafeInteger(index))
    throw new LosscError("USAGE", `argument ${field} of a launch is { index: ${index} }; an index is a whole number`);
  return BigInt(index);
}
