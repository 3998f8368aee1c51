/**
 * A program: expressions over rows with leaves, results and seeds. The passes, the scheduler and the kernels know programs; that a loss has logits, a
 * target and weights is said where losses are made into programs (`loss-program.ts`), and nowhere else.
 */
import type { InputDtype } from "../dsl/define-loss.js";
import type { Expression } from "../dsl/expression.js";
import type { Input } from "../dsl/ops/index.js";
import type { ElementSpace, Space } from "../dsl/spaces.js";

/** How the numbers of an input lie in memory. */
export interface InputType {
  readonly space: Space;
  readonly dtype: InputDtype | "i32";
  /** Every element's value where the caller gives none. */
  readonly default?: number;
}

/** An expression with the space in whose elements it is wanted: simplification may make it coarser, the caller still wants one value per element. */
export interface Placed {
  readonly space: ElementSpace;
  readonly x: Expression;
}

/** A value that leaves the program. */
export interface Result extends Placed {
  readonly name: string;
  /** Whether every program of its kind gives it; else an author asked for it. */
  readonly always: boolean;
  /** Whether an element that is not finite is a fault. */
  readonly checked?: true;
  /** Whether it is 0 at a token whose row is not read, whatever it is made of. */
  readonly zeroIfUnread?: true;
}

/** The rows that a program reads beside its elements. */
export interface ProgramRows {
  /** The row that every other stands beside. Where the program is differentiated by it, its gradient is written in its place. */
  readonly leaf: Input;
  /** The input, an i32 per token, that names an entry of the row. */
  readonly index: string;
  /** The leaf whose 0 means that nothing of the token's row is wanted. */
  readonly mask: Input;
  /** Whether an entry of the row is there. */
  readonly isPresent: Expression;
}

/** A value and its adjoint: 1 of a loss, and an input where the adjoint comes from outside. */
export interface Seed {
  readonly x: Expression;
  readonly adjoint: Expression;
}

export interface Program {
  readonly name: string;
  /** Every input by its name, those that its expressions do not read among them. */
  readonly inputs: Readonly<Record<string, InputType>>;
  /** Null of programs that read no row. */
  readonly rows: ProgramRows | null;
  /** The leaves whose adjoints it gives back. */
  readonly differentiable: readonly Input[];
  /** The values that the gradient starts from; none when it is known. */
  readonly seeds: readonly Seed[];
  readonly results: readonly Result[];
  /** Values that must be finite: where one is not, its element is named. */
  readonly checks: readonly Placed[];
  /**
   * The adjoint of the row's entries; null where no row is differentiable, and before the gradient pass. The adjoints of other leaves are results.
   */
  readonly rowGradient: Expression | null;
  /** The same as the kernel writes it; null before it is split. */
  readonly splitGradient: SplitGradient | null;
}

/** The gradient of a row, split at the entry that is named. */
export interface SplitGradient {
  /** At every entry but the named one. */
  readonly others: Expression;
  readonly named: Expression;
  /** Values per token whose being 0 makes both 0; none where the gradient is no sum of products. */
  readonly factors: readonly Expression[];
}

/** Results of elements or scalars; those that an author asked for, or those that come always. */
const chosen = ({ results }: Program, scalar: boolean, always: boolean): readonly Result[] =>
  results.filter((result) => (result.space === "batch") === scalar && result.always === always);

/** The results that are one number, in the order in which they are stored. */
export const scalarResults = (program: Program): readonly Result[] => [
  ...chosen(program, true, true),
  ...chosen(program, true, false),
];

/** The results that have a value per element, in the order in which they are stored. */
export const elementResults = (program: Program): readonly Result[] => [
  ...chosen(program, false, false),
  ...chosen(program, false, true),
];

/** The expressions that a kernel computes which writes the gradient of a row; none of a program without one. */
export const gradientRootsOf = ({ splitGradient: split }: Program): readonly Expression[] =>
  split ? [split.others, split.named, ...split.factors] : [];

/** Every expression that must be computed, in an order that the kernels follow. */
export function neededOf(program: Program): Expression[] {
  const placed = [
    ...chosen(program, true, true),
    ...program.checks,
    ...chosen(program, false, false),
    ...(program.rowGradient ? [{ x: program.rowGradient }] : []),
    ...chosen(program, false, true),
    ...chosen(program, true, false),
  ];
  return placed.map(({ x }) => x);
}

/** The program with every expression changed. */
export function mapProgram(program: Program, change: (x: Expression) => Expression): Program {
  const placed = <P extends Placed>(one: P): P => ({ ...one, x: change(one.x) });
  const { splitGradient: split } = program;
  return {
    ...program,
    seeds: program.seeds.map(({ x, adjoint }) => ({ x: change(x), adjoint: change(adjoint) })),
    results: program.results.map(placed),
    checks: program.checks.map(placed),
    rowGradient: program.rowGradient && change(program.rowGradient),
    splitGradient: split && {
      others: change(split.others),
      named: change(split.named),
      factors: split.factors.map(change),
    },
  };
}

/** The name of the result, or of the rows, that hold the adjoint of a leaf. */
export const gradientName = (leaf: Input): string => `gradient of ${leaf.attribute.name}`;

/** The result of that name. */
export function resultOf(program: Program, name: string): Result {
  const found = program.results.find((result) => result.name === name);
  if (!found) throw new Error(`the program "${program.name}" has no result "${name}"`);
  return found;
}
