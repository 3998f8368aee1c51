/** Descriptions of a plan's kernels, and why there are so many sweeps. */
import type { Expression } from "../../dsl/expression.js";
import { topological, withOperands } from "../../dsl/graph.js";
import { type CoarseFold, isCoarseFold, isRowFold, ONE } from "../../dsl/ops/index.js";
import { pluralOf, type Space } from "../../dsl/spaces.js";
import type { Plan } from "../loss-plan.js";
import { LOSS, metricName } from "../loss-program.js";
import { lower } from "../passes/lower.js";
import { simplifier } from "../passes/simplify.js";
import { mapProgram, neededOf, type Program, resultOf } from "../program.js";
import type { PlanKernel } from "../schedule/plan.js";
import type { Ranks } from "../schedule/ranks.js";
import { isSweep, type PlannedKernel, type Schedule, schedule } from "../schedule/schedule.js";
import { withSpilled } from "../schedule/spill.js";
import { type Traffic, trafficOf } from "../schedule/traffic.js";
import type { Tidied } from "./formula.js";
import { subscript } from "./names.js";
import { mean } from "./nodes.js";
import { Notation } from "./notation.js";
import { productOf } from "./products.js";

/** A number per token that a sweep folds out of the row. */
export interface RowFold {
  readonly name: string;
  readonly text: string;
  /** Names of the folds of earlier phases that it uses. */
  readonly needs: readonly string[];
}

export interface KernelDescription {
  readonly id: string;
  readonly kind: "sweep" | "step";
  /** Which sweep, from 1. */
  readonly sweep: number | null;
  readonly space: Space;
  readonly phases: readonly (readonly RowFold[])[];
  readonly gradient: boolean;
  /** Texts of the folds over its elements. */
  readonly folds: readonly string[];
  readonly bytes: Traffic;
}

export interface Execution {
  readonly sweeps: number;
  readonly steps: number;
  readonly kernels: readonly KernelDescription[];
  /** A sentence for each sweep, then one for the values that are known before them. */
  readonly why: readonly string[];
}

export function executionOf(plan: Plan, program: Program, tidied: Tidied, taken: ReadonlySet<string>): Execution {
  const { lowered, written } = correspondence(program);
  const planned = withSpilled(lowered, schedule(lowered));
  const scribe = new Scribe(planned, written, tidied, taken, lowered);
  return {
    sweeps: plan.sweeps,
    steps: plan.steps,
    kernels: planned.kernels.map((one, i) => scribe.describe(one, plan.kernels[i] as PlanKernel, plan)),
    why: [...scribe.sweeps(), ...scribe.before()],
  };
}

/** The graph as the planner sees it, and for its nodes the expressions before lowering. */
function correspondence(program: Program): {
  readonly lowered: Program;
  readonly written: ReadonlyMap<Expression, Expression>;
} {
  const nodes = topological(neededOf(program));
  const change = simplifier();
  const checks = nodes.map((x) => ({ space: "batch" as const, x }));
  const all = mapProgram(lower({ ...program, checks }), change);
  const written = new Map<Expression, Expression>();
  all.checks.forEach(({ x: y }, i) => {
    const x = nodes[i];
    if (x && !written.has(y) && y.operands.length > 0) written.set(y, x);
  });
  return { lowered: mapProgram(lower(program), change), written };
}

class Scribe {
  private readonly notation: Notation;
  private readonly rows: Notation;
  private readonly rowNames = new Map<Expression, string>();
  private readonly ranks: Ranks;
  private readonly order: readonly Expression[];
  /** All that the formula of the gradient is made of. */
  private readonly formulas: ReadonlySet<Expression>;

  constructor(
    private readonly planned: Schedule,
    private readonly written: ReadonlyMap<Expression, Expression>,
    private readonly tidied: Tidied,
    private readonly taken: ReadonlySet<string>,
    private readonly program: Program,
  ) {
    this.ranks = planned.ranks;
    this.order = topological(neededOf(program));
    this.notation = new Notation(tidied.names, taken);
    this.rows = new Notation(this.rowNames, taken);
    this.formulas = new Set(topological(tidied.rows.flatMap(({ factor, row }) => [factor, row])));
    this.nameRows();
  }

  /** The folds over rows in the order of phases: m, m₂, … for extrema, S, S₂, … for sums. */
  private nameRows(): void {
    const folds = this.order.filter(isRowFold).sort((a, b) => this.ranks.phase(a) - this.ranks.phase(b));
    const numbers = { m: 0, S: 0 };
    for (const x of folds) {
      const tidy = this.tidied.tidy(x);
      // Folds that differ only in how they skip entries that are not there have one name.
      if (this.rowNames.has(tidy)) continue;
      const letter = x.attribute.kind === "sum" ? "S" : "m";
      let name: string;
      do name = letter + subscript(++numbers[letter]);
      while (this.taken.has(name) || [...this.tidied.names.values()].includes(name));
      this.rowNames.set(tidy, name);
    }
  }

  describe(planned: PlannedKernel, kernel: PlanKernel, plan: Plan): KernelDescription {
    const sweep = isSweep(planned) ? planned.time.sweep : null;
    return {
      id: kernel.id,
      kind: kernel.kind,
      sweep,
      space: planned.space,
      phases: sweep === null ? [] : this.phases(sweep),
      gradient: planned.gradient,
      folds: [...new Set(planned.folds.map((x) => this.foldText(x)))],
      bytes: trafficOf(kernel.arguments, plan.buffers),
    };
  }

  private phases(sweep: number): RowFold[][] {
    const phases: RowFold[][] = [];
    for (const x of this.order.filter((y) => isRowFold(y) && this.ranks.rank(y) === sweep)) {
      const tidy = this.tidied.tidy(x);
      const inner = topological(x.operands).filter(isRowFold);
      const name = this.rowNames.get(tidy) as string;
      const phase = this.ranks.phase(x) - 1;
      phases[phase] ??= [];
      if (phases.flat().some((known) => known.name === name)) continue;
      phases[phase].push({
        name,
        text: this.rows.text(tidy, { whole: true }),
        needs: [...new Set(inner.map((y) => this.rowNames.get(this.tidied.tidy(y)) as string))],
      });
    }
    return phases;
  }

  /** A fold over tokens or coarser, in the words of the formulas. */
  private foldText(x: CoarseFold): string {
    const summand = this.program.checks.some((other) => other.x === x.operands[0]);
    if (x === resultOf(this.program, LOSS).x || (summand && x.space === "batch" && x.attribute.kind === "sum")) return "the loss";
    const metric = this.program.results.find((result) => result.x === x && result.name.startsWith(metricName("")));
    if (metric !== undefined) return `the ${metric.name}`;
    return this.isCount(x) ? `how many ${pluralOf(x.attribute.from)} count${OF[x.space]}` : this.text(x);
  }

  /** A fold as the formulas have it: without factors, and as a mean where it is a mean there. */
  private meant(folded: Expression): Expression {
    const parts = [folded, ...productOf(folded).powers.keys()].filter(({ op }) => op === "reduce" || op === "fold");
    const means = parts.flatMap((x) =>
      x.op === "reduce" && x.attribute.reduction === "sum" ? [mean(x.operands[0], x.space)] : [],
    );
    return [...parts, ...means].find((x) => this.formulas.has(x)) ?? folded;
  }

  private text(x: Expression, meant = false): string {
    const folded = this.tidied.tidy(this.original(x));
    const tidy = meant ? this.meant(folded) : folded;
    const whole = this.notation.text(tidy, { whole: true });
    return this.notation.isNamed(tidy) ? `${this.notation.text(tidy)} = ${whole}` : whole;
  }

  /** The expression with lowering and simplification undone where that is known. */
  private original(x: Expression): Expression {
    const known = this.undone.get(x);
    if (known) return known;
    const result =
      this.written.get(x) ??
      withOperands(
        x,
        x.operands.map((y) => this.original(y)),
      );
    this.undone.set(x, result);
    return result;
  }
  private readonly undone = new Map<Expression, Expression>();

  /** Why each sweep is needed. */
  sweeps(): string[] {
    const { sweeps } = this.planned;
    if (sweeps === 1) return [ONE_SWEEP];
    const later: string[] = [];
    let waiting: readonly Expression[] = this.program.rowGradient ? [this.program.rowGradient] : [];
    let what = "the gradient uses";
    for (let k = sweeps; k > 1; k--) {
      waiting = this.coarse(waiting, k - 0.5);
      const names = [...new Set(waiting.map((x) => this.text(x, true)))];
      later.unshift(`sweep ${k}: ${what} ${listed(names)}, known only when sweep ${k - 1} has seen ${scope(waiting)}`);
      what = `that which sweep ${k} waits for uses`;
    }
    return ["sweep 1: what the loss needs of each row is known only when it has been read", ...later];
  }

  /** Folds over tokens of that rank, the ones nearest to the roots. */
  private coarse(roots: readonly Expression[], rank: number): Expression[] {
    const found = new Set<Expression>();
    const seen = new Set<Expression>();
    const visit = (x: Expression) => {
      if (seen.has(x)) return;
      seen.add(x);
      if (isCoarseFold(x) && this.ranks.rank(x) === rank && !roots.includes(x)) found.add(x);
      else x.operands.forEach(visit);
    };
    roots.forEach(visit);
    return [...found].sort((a, b) => a.id - b.id);
  }

  /** Reductions of inputs alone cost a step, not a sweep. */
  before(): string[] {
    const folds = this.order.filter((x) => isCoarseFold(x) && this.ranks.rank(x) === 0 && !this.isCount(x));
    const names = [...new Set(folds.map((x) => this.text(x)))];
    return names.length === 0 ? [] : [`known before any row is read, because only inputs are in it: ${listed(names)}`];
  }

  private isCount(x: Expression): boolean {
    const tidy = this.tidied.tidy(x);
    return tidy.op === "constant" || (tidy.op === "fold" && tidy.operands[0] === ONE);
  }
}

const ONE_SWEEP =
  "every factor of the gradient is the token's own, an input or a count: each row is read once and turned into its gradient on the spot";

const OF: Readonly<Record<Space, string>> = {
  vocab: "",
  token: "",
  sequence: " in each sequence",
  group: " in each group",
  "sequence × vocab": "",
  "group × vocab": "",
  entry: "",
  batch: "",
};

const SEEN: Readonly<Record<Space, string>> = {
  vocab: "the row",
  token: "the row",
  sequence: "every token of the sequence",
  group: "every token of the group",
  "sequence × vocab": "the row",
  "group × vocab": "the row",
  entry: "every entry",
  batch: "every token of the batch",
};

function scope(folds: readonly Expression[]): string {
  const coarsest = (["batch", "group", "sequence"] as const).find((space) => folds.some((x) => x.space === space));
  return SEEN[coarsest ?? "batch"];
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
