/** A target's record: everything in which kernel text, its compiler and its launches differ from one target to another. */
import type { RowShape, Spread } from "../geometry.js";

export interface Target {
  /**
   * Folder of `codegen/preludes/`. Its `prelude.h` stands before every kernel, and its `primitives.h` is what the headers that targets share are
   * written in.
   */
  readonly prelude: string;
  readonly compiler: Compiler;
  /** The machines that one binary fits: GPUs by their architecture, processors by their features; null where no binaries are made ahead of time. */
  readonly binariesFor: "gpu" | "processor" | null;
  /** Architecture that every device of the target has; null where it is the device's own. */
  readonly architecture: string | null;
  /** Boundary in bytes on which kernels want an array that they take where it lies. */
  readonly alignment: number;
  /** Contiguous bytes that one element of a copying kernel moves at best; 0 where neighbouring lanes had better take neighbouring packets. */
  readonly runBytes: number;
  /** How a sweep is spread over threads. Never a function of the number of tokens: a token's numbers have the same bits in every batch. */
  sweep(sweep: Sweep): Entry;
  /** How a step is. */
  readonly step: Entry;
}

/** The compiler of a target's text, and the flags that follow from the target. */
export type Compiler = CudaCompiler | CxxCompiler;

interface AnyCompiler {
  /** Names of the file of the text and of the file of the binary. */
  readonly source: string;
  readonly binary: string;
  readonly flags: readonly string[];
}
export interface CudaCompiler extends AnyCompiler {
  readonly language: "cuda";
}
export interface CxxCompiler extends AnyCompiler {
  readonly language: "c++";
  /** Level of optimisation, and the level for long text, which a compiler would work on for minutes to save microseconds. */
  readonly optimise: { readonly usual: string; readonly long: string };
}

/** A sweep, as far as its entry point depends on it. */
export interface Sweep {
  readonly shape: RowShape;
  /** Of the device: `sm_90` and the like. */
  readonly architecture: string;
  /** Whether the kernel's body is long. */
  readonly long: boolean;
  /** Another geometry than the table's, to measure. */
  readonly spread?: ((shape: RowShape) => Spread) | undefined;
}

/** An entry point: what the addon launches. */
export interface Entry {
  /** Its geometry in words, for a comment; null where there is nothing to say. */
  readonly comment: string | null;
  /** Arguments of the prelude's macro, `LOSSC_SWEEP` and its like, behind the kernel's names. */
  readonly arguments: readonly (string | number | boolean)[];
  readonly launch: Omit<Launch, "kernel">;
}

/** How one kernel is spread over threads. */
export interface Launch {
  readonly kernel: string;
  /** Threads of a block (cuda, emulated). */
  readonly block: number;
  /** Elements that a cluster works on (cuda, emulated), or the least that a thread takes at once (cpu). */
  readonly perBlock: number;
  /** Blocks of a cluster: 1 where every block works by itself. */
  readonly cluster: number;
  /** Bytes of shared memory that a block gets (cuda, emulated). */
  readonly shared: number;
}
