/** Hand-written step kernels, as policies bring them to a device. */
import type { Launch } from "../../codegen/plan.js";
import type { Command, Memory, NativeModule } from "../native.js";

/** One field of a kernel's argument struct. */
export type UnitArgument =
  | Memory
  | null
  | {
      readonly memory: Memory;
      /** In bytes. */
      readonly offset: number;
    }
  | { readonly index: number }
  | { readonly scalar: number };

/** Hand-written step kernels on a device. */
export interface LoadedUnit {
  readonly module: NativeModule;
  readonly launches: readonly Launch[];
  /**
   * The command that runs a kernel over `elements` (≥ 1). Arguments in the order of the struct's fields: memory (or null) for a pointer,
   * `{ index }` for a whole number, `{ scalar }` for a float64.
   */
  launch(kernel: string, elements: number, args: readonly UnitArgument[]): Command;
}

/**
 * A step kernel written by hand in the prelude's primitives: a struct with the number of its id, whose function is called for each element.
 *
 * ```ts
 * const scale: StepKernel = {
 *   id: "k0",
 *   body: `
 * struct K0 {
 *   struct Args { index n; float* x; double factor; };
 *   LOSSC_FN static void element(const Args& a, index i) { store(a.x, i, float(a.factor) * load(a.x, i)); }
 * };`,
 * };
 * ```
 *
 * The fields of `Args` are what {@link LoadedUnit.launch} is given, in order: here `[{ index: n }, x.memory, { scalar: 0.5 }]`. The first is the number of elements.
 */
export interface StepKernel {
  readonly id: string;
  readonly body: string;
}

/** The text of step kernels for every target. */
export interface UnitSource {
  /** Says at the head of the text what the kernels are for. */
  readonly comment: string;
  readonly kernels: readonly StepKernel[];
}
