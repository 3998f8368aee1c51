/** The buffers of a plan: each is made when it is first asked for. */
import type { Expression } from "../../dsl/expression.js";
import type { CoarseFold, Input } from "../../dsl/ops/index.js";
import { isRow } from "../../dsl/spaces.js";
import { elementResults, gradientName, type InputType, type Program, type Result, scalarResults } from "../program.js";
import { type Between, type ElementSpace, type PlanBuffer, STATUS, type Structure } from "./plan.js";
import type { PlannedKernel, Schedule } from "./schedule.js";
import { isBefore, type Time } from "./time.js";

export class Buffers {
  readonly list: PlanBuffer[] = [];
  private readonly byKey = new Map<string, PlanBuffer>();
  /** Names of results, by the space in whose elements they are wanted. */
  private readonly names = new Map<ElementSpace, Map<Expression, string>>();
  /** The first time at which a value is stored in its own space. */
  private readonly storedAt = new Map<Expression, Time>();

  constructor(
    private readonly program: Program,
    schedule: Schedule,
  ) {
    const results = [...scalarResults(program), ...elementResults(program)];
    // Of two names of one value the first counts, and those that come always are first.
    for (const result of [...results.filter(({ always }) => always), ...results]) this.nameResult(result);
    for (const kernel of schedule.kernels) for (const x of kernel.stores) this.willStore(x, kernel);
  }

  private nameResult({ name, space, x }: Result): void {
    const names = this.names.get(space) ?? new Map<Expression, string>();
    if (!names.has(x)) names.set(x, name);
    this.names.set(space, names);
  }

  /** Notes that the kernel stores x. */
  willStore(x: Expression, { space, time }: PlannedKernel): void {
    const known = this.storedAt.get(x);
    if (x.space === space && (!known || isBefore(time, known))) this.storedAt.set(x, time);
  }

  /** The buffer from which the kernel can load x, if an earlier kernel stored it. */
  isStoredBefore(x: Expression, kernel: PlannedKernel): PlanBuffer | null {
    const time = this.storedAt.get(x);
    return time && isBefore(time, kernel.time) ? this.store(x, x.space as ElementSpace) : null;
  }

  private make(key: string, buffer: Omit<PlanBuffer, "id">): PlanBuffer {
    let known = this.byKey.get(key);
    if (!known) {
      known = { id: this.list.length, ...buffer };
      this.list.push(known);
      this.byKey.set(key, known);
    }
    return known;
  }

  input(name: string): PlanBuffer {
    const { space, dtype, default: otherwise } = this.typeOf(name);
    const extent = { per: isRow(space) ? "row" : (space as ElementSpace) } as const;
    return this.make(`input/${name}`, {
      role: "input",
      name,
      dtype,
      extent,
      ...(otherwise !== undefined && { default: otherwise }),
    });
  }

  private typeOf(name: string): InputType {
    const type = this.program.inputs[name];
    if (!type) throw new Error(`the program "${this.program.name}" has no input "${name}"`);
    return type;
  }

  structure(kind: Structure["kind"], between: Between): PlanBuffer {
    const [from, to] = between;
    const extent = kind === "segmentIds" ? ({ per: from } as const) : ({ per: to, plus: 1 } as const);
    const name = {
      segmentIds: `the ${to} of each ${from}`,
      offsets: `the first ${from} of each ${to}`,
      chunkOffsets: `the first chunk of each ${to}`,
    }[kind];
    return this.make(`structure/${kind}/${between.join()}`, {
      role: "structure",
      name,
      dtype: "i32",
      extent,
      structure: { kind, between },
    });
  }

  /** Where a value per element lies; results are stored where the caller finds them. */
  store(x: Expression, space: ElementSpace): PlanBuffer {
    const result = this.resultName(x, space);
    return this.make(`store/${space}/${x.id}`, {
      role: result ? "result" : "scratch",
      name: result ?? `a value per ${space}`,
      dtype: "f32",
      extent: { per: space },
    });
  }

  private resultName(x: Expression, space: ElementSpace): string | null {
    return this.names.get(space)?.get(x) ?? null;
  }

  fold(
    f: CoarseFold,
    space: ElementSpace,
  ): { readonly values: PlanBuffer; readonly partials: PlanBuffer; readonly counters: PlanBuffer; readonly result: PlanBuffer } {
    const between: Between = [space, f.space];
    return {
      values: this.store(f.operands[0], space),
      partials: this.make(`partials/${f.id}`, {
        role: "scratch",
        name: "a partial fold per chunk",
        dtype: "f64",
        extent: { chunksOf: between },
      }),
      counters: this.make(`counters/${f.id}`, {
        role: "counter",
        name: "arrivals",
        dtype: "u32",
        extent: { chunksOf: between, segments: true },
      }),
      result: this.foldResult(f),
    };
  }

  foldResult(f: CoarseFold): PlanBuffer {
    const named = f.space === "batch" ? this.resultName(f, "batch") : null;
    return this.make(`fold/${f.id}`, {
      role: named ? "result" : "scratch",
      name: named ?? `a ${f.attribute.kind} per ${f.space}`,
      dtype: "f64",
      extent: { per: f.space },
      fill: 0,
    });
  }

  /** The gradient of the row. */
  gradient(leaf: Input): PlanBuffer {
    const { dtype } = this.typeOf(leaf.attribute.name);
    return this.make("gradient", { role: "result", name: gradientName(leaf), dtype, extent: { per: "row" } });
  }

  status(): PlanBuffer {
    const extent = { per: "batch", plus: Object.keys(STATUS).length - 1 } as const;
    return this.make("status", { role: "result", name: "status", dtype: "u32", extent, fill: 255 });
  }
}
