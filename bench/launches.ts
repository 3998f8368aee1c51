/** The launches of a call without the call. The difference in time is the cost of `forwardBackward`. */
import { type EmitOptions, emitText } from "../codegen/emit/index.js";
import type { PlanBuffer } from "../codegen/schedule/plan.js";
import { LosscError } from "../dsl/errors.js";
import type { Command } from "../runtime/addon/native.js";
import { Executable } from "../runtime/compiled/executable.js";
import type { Place } from "../runtime/compiled/region.js";
import type { CompiledLoss, DeviceBuffer, LossInputs } from "../runtime/devices/device.js";
import { AddonDevice } from "../runtime/devices/native-device.js";
import { type BatchShape, extentOf, structureArray } from "../runtime/inputs/structure.js";
import type { Batch } from "./batch.js";
import type { Work } from "./shapes.js";

export interface Launches extends Disposable {
  /** Reads what the call reads and writes what it writes; the gradient over the batch's, the other results to memory of its own. */
  readonly commands: readonly Command[];
}

export async function launchesOf(
  compiled: CompiledLoss,
  inputs: LossInputs,
  batch: Pick<Batch, "device" | "steps" | "shape" | "lengths"> & { readonly rows: Pick<Batch["rows"], "gradient"> },
  { masked }: Pick<Work, "masked">,
  spread?: EmitOptions["spread"],
): Promise<Launches> {
  const { device } = batch;
  if (!(device instanceof AddonDevice)) throw new LosscError("DEVICE_NOT_FOUND", `${device.name} launches no kernels`);
  const { dtype, vocab, tokens } = batch.shape;
  const plan = compiled.plan(dtype);
  const text = emitText(plan, { target: device.target, architecture: device.architecture, vocab, spread });
  const executable = new Executable(plan, (await device.lease(text)).module);
  const shape: BatchShape = { lengths: batch.lengths, groups: null, vocab, tokens };
  const own: DeviceBuffer[] = [];
  const memoryOf = async ({ id, role, name, dtype: stored, extent, structure, fill }: PlanBuffer): Promise<Place> => {
    if (id === plan.results.gradient) return { memory: batch.rows.gradient.memory, offset: 0 };
    const given = role === "input" ? (inputs[name] as DeviceBuffer | undefined) : undefined;
    if (role === "input") return given ? { memory: given.memory, offset: 0 } : null;
    const length = extentOf(shape, extent);
    if (length === 0) return null;
    const buffer = await (structure ? device.buffer(structureArray(shape, structure)) : device.buffer({ dtype: stored, length }));
    own.push(buffer);
    if (fill !== undefined)
      await batch.steps.native.run([{ kind: "fill", to: buffer.memory, offset: 0, bytes: buffer.byteLength, value: fill }]);
    return { memory: buffer.memory, offset: 0 };
  };
  const places = new Map<number, Place>();
  for (const buffer of plan.buffers) places.set(buffer.id, await memoryOf(buffer));
  const context = { shape, places, scalars: plan.config, skipMasked: masked === true, rows: null };
  return {
    commands: executable.launches(plan.kernels, context),
    [Symbol.dispose]() {
      for (const buffer of own) buffer.dispose();
    },
  };
}
