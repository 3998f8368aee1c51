/** The devices of the addon: cuda, cpu, emulated. */
import { type KernelText, stepUnit, TARGETS, type TargetName } from "../../codegen/emit/index.js";
import { LosscError } from "../../dsl/errors.js";
import type { LossDefinition } from "../../dsl/index.js";
import { native as fromNative, requireAddon, runCommands, wrapNative } from "../addon/addon.js";
import type { Memory, NativeBuffer, NativeDevice, NativeModule } from "../addon/native.js";
import { findShipped } from "../ahead/shipped.js";
import type { CacheEntry } from "../cache/index.js";
import { Arenas } from "../compiled/arena.js";
import { NativeCompiledLoss } from "../compiled/native-loss.js";
import type { Toolchain } from "../compilers/index.js";
import { checkThere } from "../inputs/numbers.js";
import { BaseDevice } from "./base.js";
import { type BufferRequest, OwnedBuffer } from "./buffer.js";
import type { CompiledLoss, CompileOptions, DeviceBuffer, LoadedModule, ModuleSource } from "./device.js";
import { bytesOf, type TypedArray } from "./dtypes.js";
import { type ModuleLease, Modules } from "./modules.js";

export class AddonDevice extends BaseDevice {
  readonly target: TargetName;
  readonly architecture: string;
  readonly arenas: Arenas;
  /** Scratch has grown to what the largest loss needs: it goes with the last of them. */
  readonly modules = new Modules(
    (text, signal) => this.compileAndLoad(text, signal),
    () => this.arenas.trim(),
  );

  /** `toolchain` is asked for when first needed: a GPU without a compiler is there all the same. */
  constructor(
    name: string,
    readonly native: NativeDevice,
    description: string,
    private readonly toolchain: () => Promise<Toolchain>,
  ) {
    super(name, description);
    this.target = native.kind;
    this.architecture = TARGETS[native.kind].architecture ?? native.architecture;
    this.arenas = new Arenas(native);
  }

  get launches(): number {
    return this.native.launches;
  }

  makeBuffer = (dtype: DeviceBuffer["dtype"], length: number): OwnedBuffer => {
    try {
      // An empty buffer is a buffer too.
      return new OwnedBuffer(this, this.native.allocate(Math.max(1, length) * bytesOf(dtype)), dtype, length);
    } catch (error) {
      throw wrapNative(error);
    }
  };

  /** The module of a text: compiled, cached on disk and, while somebody uses it, in this process. */
  lease(text: KernelText, signal?: AbortSignal): Promise<ModuleLease> {
    return this.modules.lease(text, signal);
  }

  protected async compileHere(loss: LossDefinition, options: CompileOptions): Promise<CompiledLoss> {
    const compiled = new NativeCompiledLoss(this, loss, options);
    try {
      if (options.vocab !== undefined) await compiled.prepare(options.vocab);
    } catch (error) {
      compiled.dispose();
      throw error;
    }
    return compiled;
  }

  protected async bufferHere({ dtype, length, data }: BufferRequest): Promise<OwnedBuffer> {
    const buffer = this.makeBuffer(dtype, length);
    try {
      if (data && length > 0) await this.upload(buffer.memory, data);
    } catch (error) {
      buffer.dispose();
      throw error;
    }
    return buffer;
  }

  protected async loadModuleHere(source: ModuleSource): Promise<LoadedModule> {
    const text = stepUnit({ target: this.target, ...source });
    // The lease is never released: the module stays as long as the device.
    return (await this.lease(text)).module;
  }

  async download(memory: Memory, to: TypedArray): Promise<void> {
    await this.queue.run(() => runCommands(this.native, [{ kind: "read", from: memory as NativeBuffer, offset: 0, to }]));
  }

  async upload(memory: Memory, from: TypedArray): Promise<void> {
    const { length } = from;
    await this.queue.run(async () => {
      checkThere("the data", from, length);
      await runCommands(this.native, [{ kind: "write", to: memory as NativeBuffer, offset: 0, from }]);
    });
  }

  release(memory: Memory): void {
    (memory as NativeBuffer).dispose();
  }

  protected async free(): Promise<void> {
    this.arenas.trim();
    await fromNative(() => this.native.dispose());
    this.modules.clear();
  }

  private async compileAndLoad(text: KernelText, signal: AbortSignal): Promise<NativeModule> {
    const shipped = findShipped(text, this.architecture, () => requireAddon(this.name).cpuFeatures());
    let { problem } = shipped;
    if (shipped.entry) {
      try {
        return await this.loadBinary(shipped.entry);
      } catch (error) {
        // Whole, but made for another system, say another C library: a compiler may still help.
        if (!(error instanceof LosscError) || error.code === "DISPOSED") throw error;
        problem = `${shipped.entry.path} does not load: ${error.message}`;
      }
    }
    const toolchain = await this.toolchain().catch((error: unknown) => {
      throw withProblem(error, problem);
    });
    const entry = await toolchain.compile(text, signal);
    try {
      return await this.loadBinary(entry);
    } catch (error) {
      // A whole entry that does not load was made on a machine unlike this one, say over a shared home: make it here.
      if (entry.built || !(error instanceof LosscError) || error.code === "DISPOSED") throw error;
      await toolchain.discard(entry);
      const again = await toolchain.compile(text, signal);
      return this.loadBinary(again);
    }
  }

  private loadBinary({ bytes }: CacheEntry): Promise<NativeModule> {
    return fromNative(() => this.native.load(bytes));
  }
}

/** Where there is no compiler, whoever relied on what was built ahead of time wants to know why that does not help. */
function withProblem(error: unknown, problem: string | null): unknown {
  if (problem === null || !(error instanceof LosscError) || error.code !== "COMPILER_NOT_FOUND") return error;
  return new LosscError(error.code, `no binary that lossc build made fits (${problem}), and ${error.message}`, { cause: error });
}
