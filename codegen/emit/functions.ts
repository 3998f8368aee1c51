/**
 * Functions of the table of ops that the CPU's prelude must have for packets and for values per row, too. `cpu/functions.h` is generated from the
 * table, and a test holds it to that: `npm run docs` writes it anew.
 */
import { type AnyRow, opRows } from "../../dsl/ops/index.js";

/** Functions that kernel text calls for an op. */
const calleesOf = ({ text, rowText }: AnyRow): string[] =>
  [text, rowText].flatMap((written) => (written?.callee ? [written.callee] : []));

function list(macro: string, comment: string, kinds: readonly AnyRow["packet"][]): string {
  const names = opRows().flatMap(([, row]) => (kinds.includes(row.packet) ? calleesOf(row) : []));
  const each = [`#define ${macro}(EACH)`, ...[...new Set(names)].sort().map((name) => `  EACH(${name})`)];
  return `// ${comment}\n${each.join(" \\\n")}`;
}

/** The text of `cpu/functions.h`. */
export function functionsHeader(): string {
  return `// Functions of the table of ops, by what the CPU makes of them. Generated from dsl/ops by codegen/emit/functions.ts.
#pragma once

namespace lossc {

${list("LOSSC_EACH_OF_NUMBERS", "Functions of one number, which are called for a packet lane by lane.", ["lanes"])}

${list("LOSSC_EACH_OF_PACKETS", "Functions of packets, which are lifted to values per row.", ["lanes", "packets"])}

}  // namespace lossc
`;
}
