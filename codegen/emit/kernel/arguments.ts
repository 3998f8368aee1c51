/** The argument struct of a kernel while its body is written: a field is declared when it is first used. */

import type { Input } from "../../../dsl/ops/index.js";
import { pluralOf } from "../../../dsl/spaces.js";
import type { ElementSpace, PlanArgument, PlanBuffer } from "../../schedule/plan.js";
import { TYPES } from "../dtypes.js";
import { commentText } from "../text.js";

interface Field {
  readonly declaration: string;
  readonly comment: string;
  readonly argument: PlanArgument;
}

export class Arguments {
  /** In the order of their declaration. */
  private readonly fields = new Map<string, Field>();
  private configs = 0;
  private written = new Set<number>();

  /** Every kernel begins with the elements that a launch visits. */
  constructor(space: ElementSpace) {
    this.field("first", "index first", space === "batch" ? "the batch" : `${pluralOf(space)} from here on`, {
      kind: "range",
      end: "first",
    });
    this.field("last", "index last", "up to, and without, this one", { kind: "range", end: "last" });
  }

  size(of: ElementSpace | "vocab"): string {
    return this.field(`size/${of}`, `index ${pluralOf(of)}`, of === "vocab" ? "entries of a row" : "", { kind: "size", of });
  }

  /** Where the row of each token lies. */
  rows(): string {
    return this.field("rows", "const int* rows", "the row of each token; null: in the order of the tokens visited", {
      kind: "rows",
    });
  }

  /** `mask`: the leaf whose 0 means that a row is not wanted. */
  skipMasked(mask: Input): string {
    const comment = `not 0: no row is read where ${commentText(mask.attribute.name)} is 0`;
    return this.field("skip", "index skip", comment, { kind: "skipMasked" });
  }

  config(name: string): string {
    const key = `config/${name}`;
    const number = this.fields.has(key) ? 0 : this.configs++;
    return this.field(key, `double c${number}`, commentText(name), { kind: "config", name });
  }

  /** A pointer; `write` where the kernel stores through it. */
  buffer(buffer: PlanBuffer, write = false): string {
    const name = this.field(`buffer/${buffer.id}`, `${TYPES[buffer.dtype]}* p${buffer.id}`, describe(buffer), {
      kind: "buffer",
      buffer: buffer.id,
    });
    if (write) this.written.add(buffer.id);
    return name;
  }

  private field(key: string, declaration: string, comment: string, argument: PlanArgument): string {
    let known = this.fields.get(key);
    if (!known) {
      known = { declaration, comment, argument };
      this.fields.set(key, known);
    }
    return `a.${known.declaration.replace(/^.* \*?/, "")}`;
  }

  get list(): readonly PlanArgument[] {
    return [...this.fields.values()].map(({ argument }) =>
      argument.kind === "buffer" && this.written.has(argument.buffer) ? { ...argument, writes: true } : argument,
    );
  }

  /** The struct's lines. */
  get text(): string[] {
    const fields = [...this.fields.values()];
    const width = fields.reduce((most, field) => Math.max(most, this.declared(field).length), 0);
    return fields.map((field) => {
      const declaration = `${this.declared(field)};`;
      return field.comment ? `    ${declaration.padEnd(width + 3)}// ${field.comment}` : `    ${declaration}`;
    });
  }

  private declared({ declaration, argument }: Field): string {
    return argument.kind === "buffer" && !this.written.has(argument.buffer) ? `const ${declaration}` : declaration;
  }
}

function describe(buffer: PlanBuffer): string {
  const given = buffer.role === "input" && buffer.default !== undefined ? `, ${buffer.default} where not given` : "";
  return `${commentText(buffer.name)}${given}`;
}
