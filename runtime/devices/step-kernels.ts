/** Hand-written step kernels, as policies bring them to a device. */
import type { Launch } from "../../codegen/emit/index.js";
import type { Command, Memory, NativeModule } from "../addon/native.js";

/** One field of a kernel's argument struct. */
export type LaunchArgument =
  | Memory
  | null
  | {
      readonly memory: Memory;
      /** In bytes. */
      readonly offset: number;
    }
  | { readonly index: number }
  | { readonly scalar: number };

/** Kernels that a device has loaded. */
export interface LoadedModule {
  readonly module: NativeModule;
  readonly launches: readonly Launch[];
  /**
   * The command that runs a kernel over `elements` (≥ 1). Arguments in the order of the struct's fields: memory (or null) for a pointer,
   * `{ index }` for a whole number, `{ scalar }` for a float64.
   */
  launch(kernel: string, elements: number, args: readonly LaunchArgument[]): Command;
}

/**
 * A step kernel written by hand in the prelude's primitives: a struct with the name of its id, in upper camel case, whose function is called for each
 * element.
 *
 * ```ts
 * const scale: StepKernel = {
 *   id: "scale",
 *   body: `
 * struct Scale {
 *   struct Args { index n; float* x; double factor; };
 *   LOSSC_FN static void element(const Args& a, index i) { store(a.x, i, float(a.factor) * load(a.x, i)); }
 * };`,
 * };
 * ```
 *
 * The fields of `Args` are what {@link LoadedModule.launch} is given, in order: here `[{ index: n }, x.memory, { scalar: 0.5 }]`. The first is the
 * number of elements.
 */
export interface StepKernel {
  /** Name of the entry point, unique in its module: a C identifier that the C library does not use. */
  readonly id: string;
  readonly body: string;
}

/** Step kernels that are compiled together, for every target. */
export interface ModuleSource {
  /** First line of the text: the purpose of the kernels. */
  readonly comment: string;
  readonly kernels: readonly StepKernel[];
}
