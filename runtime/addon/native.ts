/** The interface of the addon. Only runtime/ uses it, and bench/ and tests. Its errors have a `code` of `LosscError`. */
import type { TargetName } from "../../codegen/emit/targets/index.js";
import type { LogitsDtype } from "../../codegen/loss-program.js";

/** Memory of a device. `byteLength` is reported to V8; the finalizer frees what was not disposed of. */
export interface NativeBuffer {
  readonly byteLength: number;
  dispose(): void;
}

/** Host memory stands where a device pointer is wanted only on devices with `hostMemory`. */
export type Memory = NativeBuffer | ArrayBufferView;

/** A matrix in a device's memory: row-major, row after row without a gap. */
export interface Matrix {
  readonly memory: Memory;
  /** In bytes. */
  readonly offset: number;
  readonly dtype: LogitsDtype;
}

/** A binary on a device. */
export interface NativeModule {
  dispose(): void;
}

/** One entry of a program. Offsets and counts are in bytes, but for `elements`. */
export type Command =
  | {
      readonly kind: "launch";
      readonly module: NativeModule;
      /** Entry point, such as `k0`. */
      readonly kernel: string;
      /** Elements to visit; at least 1. cuda and emulated launch ceil(elements / perBlock) clusters of `cluster` blocks of `block` threads. */
      readonly elements: number;
      readonly block: number;
      readonly perBlock: number;
      /** 1 to 16; the kernel was compiled for the same number. */
      readonly cluster: number;
      /** Bytes of shared memory for each block. */
      readonly shared: number;
      /** The argument struct: eight bytes a field. Copied when the program is submitted. */
      readonly arguments: ArrayBuffer;
      /** Fields that are addresses: index of the field (not byte), memory, byte offset into it. Null pointers are left 0. */
      readonly pointers: readonly (readonly [field: number, memory: Memory, offset: number])[];
    }
  | {
      readonly kind: "write";
      readonly to: NativeBuffer;
      readonly offset: number;
      readonly from: ArrayBufferView;
    }
  | {
      readonly kind: "read";
      readonly from: NativeBuffer;
      readonly offset: number;
      readonly to: ArrayBufferView;
    }
  /** A copy within the device. The two places must not overlap. */
  | {
      readonly kind: "copy";
      readonly from: Memory;
      readonly fromOffset: number;
      readonly to: Memory;
      readonly toOffset: number;
      readonly bytes: number;
    }
  | {
      readonly kind: "fill";
      readonly to: Memory;
      readonly offset: number;
      readonly bytes: number;
      readonly value: number;
    }
  /**
   * c (m × n) = alpha · op(a) · op(b) + beta · c, with op(a) m × k and op(b) k × n: accumulated in float32, rounded once. a and b have the same
   * dtype, c has that or f32. c overlaps neither. A beta of 0 reads nothing of c.
   */
  | {
      readonly kind: "matmul";
      readonly a: Matrix;
      readonly b: Matrix;
      readonly c: Matrix;
      readonly m: number;
      readonly n: number;
      readonly k: number;
      readonly transposeA: boolean;
      readonly transposeB: boolean;
      readonly alpha: number;
      readonly beta: number;
    };

export interface NativeDevice {
  readonly kind: TargetName;
  /** For people: processor or GPU name. */
  readonly name: string;
  /** `sm_90` on cuda, else the machine's architecture (`x86_64`, `aarch64`). */
  readonly architecture: string;
  /** Whether commands take typed arrays where they lie. */
  readonly hostMemory: boolean;
  readonly threads: number;
  /** Launches since the device was opened. */
  readonly launches: number;
  /** Distinct bytes that each launch has read, in all; only an emulated device with `races` counts them. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Zeroed memory, aligned to 256 bytes. `DEVICE_OUT_OF_MEMORY` where there is none. */
  allocate(bytes: number): NativeBuffer;
  /** Loads the bytes of a binary: of a shared object for cpu and emulated, of a cubin for cuda. */
  load(binary: Uint8Array): Promise<NativeModule>;
  /**
   * Runs the commands in order, off the event loop; programs of one device run in the order of their submission. `abort[0]`, when it
   * becomes nonzero, stops the program at the next check and rejects with `ABORTED`. Memory of the program is kept alive until it settles.
   */
  run(program: readonly Command[], abort?: Int32Array | undefined): Promise<void>;
  /** Waits for running programs, then frees. Further calls throw `DISPOSED`. */
  dispose(): Promise<void>;
}

export interface CudaDescription {
  readonly ordinal: number;
  readonly name: string;
  readonly architecture: string;
  readonly memoryBytes: number;
}

/**
 * Result of one library search: `path` where a library was taken, else `problem`. A CUDA library newer than the driver's major version is not taken.
 */
export interface LibraryReport {
  readonly path?: string;
  readonly version?: string;
  readonly problem?: string;
}

export interface NvrtcReport extends LibraryReport {
  /** GPUs that it compiles for: `sm_75`, `sm_80` and so on. There where `path` is. */
  readonly architectures?: readonly string[];
}

export interface NativeAddon {
  /** `threads` 0: one per core that the process may use. */
  openCpu(options: { readonly threads: number }): NativeDevice;
  /**
   * Blocks are run lane by lane in the given order: `"forward"`, `"reverse"`, or a seed. With `races`, accesses that nothing puts in order are a
   * `DEVICE_FAULT`.
   */
  openEmulated(options: { readonly order: "forward" | "reverse" | number; readonly races?: boolean }): NativeDevice;
  /** `DEVICE_NOT_FOUND` where there is no driver or no such GPU. */
  openCuda(options: { readonly ordinal: number }): NativeDevice;
  /** `DEVICE_NOT_FOUND`, with the missing part, where there is no driver. */
  listCuda(): readonly CudaDescription[];
  libraries(): {
    readonly cuda: LibraryReport;
    readonly nvrtc: NvrtcReport;
    readonly cublas: LibraryReport;
    readonly openblas: LibraryReport;
  };
  /** `COMPILER_NOT_FOUND` without the library; `COMPILE_FAILED` with the `log`. */
  compileCuda(source: string, options: readonly string[]): Promise<{ readonly binary: Uint8Array; readonly log: string }>;
  /** The processor's features as resolved for `-march=native`, a stable string that goes into cache keys. */
  cpuFeatures(): string;
  /** Whether two views have a byte in common, also where they lie in different `SharedArrayBuffer` objects of the same memory. */
  overlap(a: ArrayBufferView, b: ArrayBufferView): boolean;
}
