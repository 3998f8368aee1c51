/** Hand-written step kernels: what turns a caller's arguments into a launch. */
import type { KernelText } from "../../codegen/emit/index.js";
import { LosscError } from "../../dsl/errors.js";
import type { Command, Memory, NativeModule } from "../native.js";
import type { LoadedUnit, UnitArgument } from "./device.js";

export function loadedUnit(text: KernelText, module: NativeModule): LoadedUnit {
  const { launches } = text;
  return {
    module,
    launches,
    launch(kernel: string, elements: number, args: readonly UnitArgument[]): Command {
      const launch = launches.find((entry) => entry.kernel === kernel);
      if (!launch)
        throw new LosscError(
          "USAGE",
          `the unit has no kernel "${kernel}"; its kernels are ${launches.map((entry) => entry.kernel).join(", ")}`,
        );
      if (!Number.isSafeInteger(elements) || elements < 1)
        throw new LosscError("USAGE", `a launch visits a whole number ≥ 1 of elements, not ${elements}`);
      const bytes = new ArrayBuffer(args.length * 8);
      const fields = new DataView(bytes);
      const pointers: [number, Memory, number][] = [];
      args.forEach((argument, field) => {
        if (argument === null) return;
        if (isScalar(argument)) fields.setFloat64(field * 8, argument.scalar, true);
        else if (isIndex(argument)) fields.setBigInt64(field * 8, wholeNumber(argument.index, field), true);
        else if (isPart(argument)) pointers.push([field, argument.memory, argument.offset]);
        else pointers.push([field, argument as Memory, 0]);
      });
      return {
        kind: "launch",
        module,
        kernel,
        elements,
        block: launch.block,
        perBlock: launch.perBlock,
        cluster: launch.cluster,
        shared: launch.shared,
        arguments: bytes,
        pointers,
      };
    },
  };
}

function wholeNumber(index: number, field: number): bigint {
  if (!Number.isSafeInteger(index))
    throw new LosscError("USAGE", `argument ${field} of a launch is { index: ${index} }; an index is a whole number`);
  return BigInt(index);
}

function isScalar(argument: object): argument is { scalar: number } {
  return "scalar" in argument;
}
function isIndex(argument: object): argument is { index: number } {
  return "index" in argument;
}
function isPart(argument: object): argument is { memory: Memory; offset: number } {
  return "memory" in argument && "offset" in argument;
}
