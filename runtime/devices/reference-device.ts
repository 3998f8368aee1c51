/** The device that needs nothing: float64 in plain TypeScript. It is the oracle of the others, and slow. */
import { LosscError } from "../../dsl/errors.js";
import type { LossDefinition } from "../../dsl/index.js";
import type { Memory } from "../addon/native.js";
import { ReferenceCompiledLoss } from "../compiled/reference-loss.js";
import { checkThere } from "../inputs/numbers.js";
import { BaseDevice } from "./base.js";
import { type BufferRequest, OwnedBuffer } from "./buffer.js";
import type { CompiledLoss, CompileOptions, DeviceBuffer, LoadedModule } from "./device.js";
import { makeArray, type TypedArray } from "./dtypes.js";

export class ReferenceDevice extends BaseDevice {
  readonly native = null;
  readonly launches = 0;

  constructor() {
    super("reference", "float64 in JavaScript, for checking; no compiler needed");
  }

  makeBuffer(dtype: DeviceBuffer["dtype"], length: number): OwnedBuffer {
    return new OwnedBuffer(this, makeArray(dtype, length), dtype, length);
  }

  protected async compileHere(loss: LossDefinition, options: CompileOptions): Promise<CompiledLoss> {
    return new ReferenceCompiledLoss(this, loss, options);
  }

  protected async bufferHere({ dtype, length, data }: BufferRequest): Promise<OwnedBuffer> {
    const buffer = this.makeBuffer(dtype, length);
    if (data && length > 0) await this.upload(buffer.memory, data);
    return buffer;
  }

  protected async loadModuleHere(): Promise<LoadedModule> {
    throw new LosscError("DEVICE_NOT_FOUND", "the device reference runs no kernels; step kernels need cpu, cuda or emulated");
  }

  async download(memory: Memory, to: TypedArray): Promise<void> {
    await this.queue.run(async () => to.set(memory as TypedArray));
  }

  async upload(memory: Memory, from: TypedArray): Promise<void> {
    const { length } = from;
    await this.queue.run(async () => {
      checkThere("the data", from, length);
      (memory as TypedArray).set(from);
    });
  }

  release(): void {}

  protected async free(): Promise<void> {}
}
