/** The base of all devices: order of calls, checks of `compile` and `buffer`, disposal. */
import { isUnmade, UNMADE } from "../../dsl/definitions.js";
import { LosscError } from "../../dsl/errors.js";
import { isLossDefinition, type LossDefinition } from "../../dsl/index.js";
import type { LossName } from "../../losses/index.js";
import type { Memory, NativeDevice } from "../addon/native.js";
import { describe } from "../inputs/numbers.js";
import { builtinLoss } from "../modules/builtin.js";
import { Queue } from "../tasks/abort.js";
import { type BufferHost, type BufferRequest, bufferRequest, type OwnedBuffer } from "./buffer.js";
import type {
  CompiledFrom,
  CompiledLoss,
  CompileOptions,
  ConfigOf,
  Device,
  DeviceBuffer,
  LoadedModule,
  ModuleSource,
} from "./device.js";
import type { TypedArray } from "./dtypes.js";

export abstract class BaseDevice implements Device, BufferHost {
  /** Calls, copies and the end, one after the other. */
  readonly queue = new Queue();
  #disposal: Promise<void> | null = null;
  #freed = false;

  constructor(
    readonly name: string,
    readonly description: string,
  ) {}

  abstract readonly native: NativeDevice | null;
  abstract readonly launches: number;

  protected abstract compileHere(loss: LossDefinition, options: CompileOptions): Promise<CompiledLoss>;
  protected abstract bufferHere(request: BufferRequest): Promise<OwnedBuffer>;
  protected abstract loadModuleHere(source: ModuleSource): Promise<LoadedModule>;
  protected abstract free(): Promise<void>;
  abstract download(memory: Memory, to: TypedArray): Promise<void>;
  abstract upload(memory: Memory, from: TypedArray): Promise<void>;
  abstract release(memory: Memory): void;

  get device(): this {
    return this;
  }

  alive(): void {
    if (this.#disposal) throw this.gone();
  }

  usable(): void {
    if (this.#freed) throw this.gone();
  }

  private gone(): LosscError {
    return new LosscError("DISPOSED", `the device ${this.name} has been disposed of; open a new one with openDevice()`);
  }

  async compile<L extends LossDefinition | LossName>(
    loss: L,
    options: CompileOptions<ConfigOf<L>> = {},
  ): Promise<CompiledFrom<L>> {
    this.alive();
    const definition = typeof loss === "string" ? builtinLoss(loss, "defineLoss makes others") : loss;
    if (!isLossDefinition(definition)) {
      const wanted = isUnmade(definition) ? UNMADE : "give a loss made by defineLoss(), or the name of one that ships";
      throw new LosscError("USAGE", `device.compile() was given ${describe(definition)}; ${wanted}`);
    }
    return (await this.compileHere(definition, options)) as CompiledFrom<L>;
  }

  async buffer(source: Parameters<Device["buffer"]>[0], dtype?: Parameters<Device["buffer"]>[1]): Promise<DeviceBuffer> {
    this.alive();
    return this.bufferHere(bufferRequest(source, dtype));
  }

  async loadModule(source: ModuleSource): Promise<LoadedModule> {
    this.alive();
    return this.loadModuleHere(source);
  }

  dispose(): Promise<void> {
    // Earlier calls still run; later ones are refused.
    this.#disposal ??= this.queue.idle().then(() => {
      this.#freed = true;
      return this.free();
    });
    return this.#disposal;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
