/** The memory of a plan: each buffer is made when it is first asked for. */
import type { InputDeclaration } from "../dsl/define-loss.js";
import type { Expression } from "../dsl/expression.js";
import type { LossGraph } from "./expand.js";
import {
  type Between,
  type BufferDtype,
  type ElementSpace,
  type LogitsDtype,
  type PlanBuffer,
  STATUS,
  type Structure,
} from "./plan.js";
import type { Schedule, Slot } from "./schedule.js";

export class Buffers {
  readonly list: PlanBuffer[] = [];
  private readonly byKey = new Map<string, PlanBuffer>();
  /** Names of what the caller gets, by the space in whose elements it does. */
  private readonly results: Readonly<Record<ElementSpace, ReadonlyMap<Expression, string>>>;
  /** When a value is stored in its own space. */
  private readonly storedAt = new Map<Expression, number>();

  constructor(
    graph: LossGraph,
    private readonly inputs: Readonly<Record<string, InputDeclaration>>,
    private readonly logits: LogitsDtype | null,
    schedule: Schedule,
  ) {
    this.results = resultsOf(graph);
    for (const slot of schedule.slots) for (const x of slot.stores) this.willStore(x, slot);
  }

  /** Notes that the slot's kernel stores x. */
  willStore(x: Expression, slot: Slot): void {
    if (x.space === slot.space) this.storedAt.set(x, Math.min(this.storedAt.get(x) ?? Number.POSITIVE_INFINITY, slot.time));
  }

  /** The buffer from which the slot's kernel can load x, if an earlier kernel stored it. */
  isStoredBefore(x: Expression, slot: Slot): PlanBuffer | null {
    const time = this.storedAt.get(x);
    return time !== undefined && time < slot.time ? this.store(x, x.space as ElementSpace) : null;
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
    const make = (dtype: BufferDtype, extent: PlanBuffer["extent"], otherwise?: number) =>
      this.make(`input/${name}`, { role: "input", name, dtype, extent, ...(otherwise !== undefined && { default: otherwise }) });
    if (name === "logits") return make(this.logits as LogitsDtype, { per: "row" });
    if (name === "target_tokens") return make("i32", { per: "token" });
    if (name === "policy_logprobs") return make("f32", { per: "token" });
    const declared = this.inputs[name];
    if (!declared) return make("f32", { per: "token" }, 1); // weights come with every loss
    return make(declared.dtype, { per: declared.space === "vocab" ? "row" : declared.space }, declared.default);
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
    return this.results[space].get(x) ?? null;
  }

  fold(
    f: Expression,
    space: ElementSpace,
  ): { readonly values: PlanBuffer; readonly partials: PlanBuffer; readonly counters: PlanBuffer; readonly result: PlanBuffer } {
    const between: Between = [space, f.space as ElementSpace];
    return {
      values: this.store(f.operands[0] as Expression, space),
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

  foldResult(f: Expression): PlanBuffer {
    if (f.attribute.from === "vocab") throw new Error(`the row value ${f.id} was not kept`);
    const named = f.space === "batch" ? this.resultName(f, "batch") : null;
    return this.make(`fold/${f.id}`, {
      role: named ? "result" : "scratch",
      name: named ?? `a ${f.attribute.kind as string} per ${f.space}`,
      dtype: "f64",
      extent: { per: f.space as ElementSpace },
      fill: 0,
    });
  }

  /** The gradient of the logits. */
  gradient(): PlanBuffer {
    return this.make("gradient", {
      role: "result",
      name: "gradient of logits",
      dtype: this.logits as LogitsDtype,
      extent: { per: "row" },
    });
  }

  status(): PlanBuffer {
    const extent = { per: "batch", plus: Object.keys(STATUS).length - 1 } as const;
    return this.make("status", { role: "result", name: "status", dtype: "u32", extent, fill: 255 });
  }
}

/** Of two names the first counts: a value that is wanted twice has one buffer. */
function resultsOf(graph: LossGraph): Record<ElementSpace, Map<Expression, string>> {
  const results = { token: new Map(), sequence: new Map(), group: new Map(), batch: new Map() } satisfies Record<
    string,
    Map<Expression, string>
  >;
  const name = (space: ElementSpace, x: Expression, text: string) => {
    if (!results[space].has(x)) results[space].set(x, text);
  };
  if (graph.from === "logits") name("token", graph.logprobs, "logprobs");
  else name("token", graph.gradient as Expression, "gradient of policy_logprobs");
  name("batch", graph.loss, "loss");
  for (const [key, x] of graph.metrics) name("batch", x, `metric ${key}`);
  for (const [key, { space, x }] of graph.outputs) name(space, x, `output ${key}`);
  return results;
}
