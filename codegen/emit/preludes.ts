/** The prelude of each target, one text of the headers in `codegen/preludes/`; that folder's README says what each holds. */
import { readFileSync } from "node:fs";
import { TARGETS, type TargetName } from "./targets/index.js";

const FOLDER = new URL("../preludes/", import.meta.url);

/** The header that stands for a target's primitives where targets share what is written in them. */
const PRIMITIVES = /\/target\.h$/;

/** A header's lines for the preprocessor and the editor alone: all that stands before the first line of its own, but for the comment at the top. */
const PREAMBLE = /#pragma once\n(?:\n|#include "[^"]+"\n)*/;
const INCLUDE = /^#include "([^"]+)"$/gm;
const [OPEN, CLOSE] = ["namespace lossc {\n\n", "\n}  // namespace lossc\n"];

const texts = new Map<TargetName, string>();

/** The text that stands before every kernel of a target. It leaves the namespace `lossc` open. */
export function preludeText(target: TargetName): string {
  let text = texts.get(target);
  if (text === undefined) {
    text = flattened(TARGETS[target].prelude);
    texts.set(target, text);
  }
  return text;
}

/** Each header of a folder's `prelude.h` once, behind those that it includes. */
function flattened(folder: string): string {
  const seen = new Set<string>();
  const parts: string[] = [];
  let isOpen = false;
  const add = (name: URL) => {
    const url = PRIMITIVES.test(name.pathname) ? new URL(`${folder}/primitives.h`, FOLDER) : name;
    if (seen.has(url.href)) return;
    seen.add(url.href);
    const header = readFileSync(url, "utf8");
    for (const [, included] of header.matchAll(INCLUDE)) add(new URL(included as string, url));
    const own = header.replace(PREAMBLE, "").replace(CLOSE, "");
    if (own === header.slice(0, header.indexOf("#pragma once"))) return;
    parts.push(isOpen ? own.replace(OPEN, "\n").replace(/^\n/, "") : own);
    isOpen ||= own.includes(OPEN);
  };
  add(new URL(`${folder}/prelude.h`, FOLDER));
  return parts.join("\n");
}
