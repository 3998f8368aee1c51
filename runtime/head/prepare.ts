/** Preparation of a call from hidden states, before it requests memory. */

import type { Plan } from "../../codegen/loss-plan.js";
import type { LogitsDtype } from "../../codegen/loss-program.js";
import { runCommands } from "../addon/addon.js";
import type { NativeBuffer, NativeDevice } from "../addon/native.js";
import type { Call } from "../compiled/call.js";
import type { Device } from "../devices/device.js";
import { convert, makeArray, type TypedArray, widen } from "../devices/dtypes.js";
import { checkStill, sourcesOf } from "../inputs/check.js";
import type { DeviceSource } from "../inputs/numbers.js";
import { overlaps } from "../inputs/overlap.js";
import { headModule } from "./kernels.js";
import { RowMap } from "./row-map.js";
import { RowSteps } from "./row-steps.js";
import { HeadStage } from "./stage.js";

/**
 * The stage that makes the logits of a call, or null where it brings them. Reads weights that lie on the device. `plan` is that of the binary that
 * runs: its kernels have other names where several losses share a unit.
 */
export async function headStageOf(call: Call, plan: Plan, device: Device, native: NativeDevice): Promise<HeadStage | null> {
  const { inputs, shape, options, gradHead } = call;
  if (!inputs.head) return null;
  const dtype = plan.logits as LogitsDtype;
  const sum = (gradHead?.dtype as LogitsDtype | undefined) ?? dtype;
  const rows = new RowMap(shape.tokens, options.skipMasked ? await weightsOf(call, native) : null);
  // Only what cannot fail any more may be added to while it is made, and only what is not read meanwhile.
  const apart = gradHead && !sourcesOf(inputs).some(([, read]) => read && overlaps(read, gradHead));
  const direct = apart && options.propagate && !options.signal && inputs.targets?.kind === "host";
  const way = gradHead ? (direct ? "add" : "gather") : "make";
  const steps = { module: await device.loadModule(headModule(dtype, sum)), rows: await RowSteps.load(device) };
  return new HeadStage(call, plan, rows, steps, sum, way);
}

/** The weights as the kernels see them; null where there are none. */
async function weightsOf(call: Call, native: NativeDevice): Promise<ArrayLike<number> | null> {
  const {
    inputs,
    gradHead,
    compiled: { plan },
  } = call;
  const { weights } = inputs.inputs;
  if (!weights) return null;
  checkStill(inputs, gradHead);
  const dtype = plan.buffers.find(({ role, name }) => role === "input" && name === "weights")?.dtype ?? "f32";
  const given = weights.kind === "device" ? await read(weights, native) : weights.array;
  return widen(convert(given, weights.dtype, dtype), dtype);
}

/** Not by way of the buffer, whose copies wait for the calls before them: this is one. */
async function read({ buffer, dtype, length }: DeviceSource, native: NativeDevice): Promise<TypedArray> {
  const array = makeArray(dtype, length);
  await runCommands(native, [{ kind: "read", from: buffer.memory as NativeBuffer, offset: 0, to: array }]);
  return array;
}
