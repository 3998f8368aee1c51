/**
 * A plan from hidden states: its rows are the product of hidden states with a head, and are never all in memory. The same kernels run in the same
 * order. Chunk by chunk the head computes the rows that they visit, and propagates their gradient to the hidden states and the head.
 */
import { isFiner } from "../../dsl/spaces.js";
import type { ElementSpace, KernelPlan, PlanArgument, PlanKernel } from "./plan.js";

/** The cost of a plan whose rows are computed chunk by chunk. */
export interface PlanHead {
  /** The elements whose tokens a sweep must all have seen before the next one; `token` where a sweep waits for no other token. */
  readonly waitsFor: ElementSpace;
  /** Matrix products of tokens × hidden size × vocabulary, where every such element lies in one chunk of tokens. */
  readonly products: number;
  /** And where one does not: then the rows of a chunk are computed once for every sweep. */
  readonly productsCut: number;
}

export interface HeadPlan {
  readonly sweeps: number;
  /** Steps that need no row. */
  readonly before: readonly PlanKernel[];
  /** From the first sweep to the last, with the steps whose results a later sweep waits for. */
  readonly during: readonly PlanKernel[];
  /** Steps after the gradient is written. */
  readonly after: readonly PlanKernel[];
  /**
   * The elements whose tokens a sweep must all have seen before the next one: `token` is its own alone, `sequence` and `group` are complete within a
   * chunk that holds them whole, `batch` only within one that holds all tokens.
   */
  readonly waitsFor: ElementSpace;
}

/** Cuts a plan of rows into the part that needs rows, and the steps before and after it. */
export function headPlanOf(plan: Pick<KernelPlan, "kernels" | "buffers" | "sweeps">): HeadPlan {
  const { kernels, buffers } = plan;
  const isSweep = ({ kind }: PlanKernel) => kind === "sweep";
  const begin = kernels.findIndex(isSweep);
  const end = kernels.findLastIndex(isSweep) + 1;
  const during: PlanKernel[] = [];
  /** Buffers that kernels in `during` read. */
  const awaited = new Set<number>();
  const late: PlanKernel[] = [];
  for (const kernel of kernels.slice(begin, end).reverse()) {
    if (!isSweep(kernel) && !buffersOf(kernel, true).some((id) => awaited.has(id))) {
      late.push(kernel);
      continue;
    }
    during.push(kernel);
    for (const id of buffersOf(kernel, false)) awaited.add(id);
  }
  // They were found from the last to the first.
  during.reverse();
  late.reverse();
  // Buffers that one kernel between the first sweep and the last writes for another: an element of a space coarser than tokens is made of several of
  // them.
  const lastRead = new Map(during.flatMap((kernel, i) => buffersOf(kernel, false).map((id) => [id, i] as const)));
  const handed = during.flatMap((kernel, i) => buffersOf(kernel, true).filter((id) => (lastRead.get(id) ?? -1) > i));
  const spaces = handed.flatMap((id) => {
    const extent = buffers[id]?.extent;
    return extent && "per" in extent && extent.per !== "row" ? [extent.per] : [];
  });
  return {
    sweeps: plan.sweeps,
    before: kernels.slice(0, begin),
    during,
    after: [...late, ...kernels.slice(end)],
    waitsFor: spaces.reduce<ElementSpace>((most, space) => (isFiner(most, space) ? space : most), "token"),
  };
}

/**
 * Matrix products of a call, each of tokens × hidden × vocabulary multiplications: rows once, or once for every sweep, and the gradients of hidden
 * states and head.
 */
export function productsOf({ sweeps }: HeadPlan, closed: boolean): number {
  return (closed ? 1 : sweeps) + 2;
}

/** The part of it that a plan holds. */
export function planHeadOf(plan: Parameters<typeof headPlanOf>[0]): PlanHead {
  const head = headPlanOf(plan);
  return { waitsFor: head.waitsFor, products: productsOf(head, true), productsCut: productsOf(head, false) };
}

/** Buffers that a kernel stores to; without `writes`, those that it only reads. */
function buffersOf(kernel: PlanKernel, writes: boolean): number[] {
  const isBuffer = (argument: PlanArgument) => argument.kind === "buffer";
  return kernel.arguments
    .filter(isBuffer)
    .flatMap(({ buffer, writes: written }) => (Boolean(written) === writes ? [buffer] : []));
}
