/**
 * A long function as a sequence of functions. A compiler gives registers to all values of a function at once, in a time that grows with the square of
 * their number. What one section defines and a later one uses goes through memory, where a compiler of the whole would have put most of it, too.
 */

/** Statements of a function from which on it is cut, and those of one section. */
const LONG = 1000;
const SECTION = 250;

/** A statement defines one value at most; the first letter of a value's name says its type. */
const DEFINITION = /^\s*const auto ([bivx]\d+) = /;
const NAMES = /\b[bivx]\d+\b/g;
type Type = "bool" | "index" | "float";
const TYPES: Readonly<Record<string, Type>> = { b: "bool", i: "index", v: "float", x: "float" };

/** The function of an element that consists of these statements; `element` is its name. */
export function elementText(statements: readonly string[], element: string): string[] {
  const head = `  LOSSC_FN static void element(const Args& a, index ${element}) {`;
  if (statements.length <= LONG) return [head, ...statements, "  }"];
  const sections = Array.from({ length: Math.ceil(statements.length / SECTION) }, (_, k) =>
    statements.slice(k * SECTION, (k + 1) * SECTION),
  );
  const { places, needed, sizes } = placesOf(sections);
  const functions = sections.flatMap((section, k) => [
    `  static LOSSC_APART void section${k}(const Args& a, index ${element}, Spilled& w) {`,
    ...(needed[k] as readonly string[]).map((name) => `    const auto ${name} = ${places.get(name)};`),
    ...section,
    ...definedBy(section).flatMap((name) => (places.has(name) ? [`    ${places.get(name)} = ${name};`] : [])),
    "  }",
  ]);
  const spilled = [...sizes].map(([type, size]) => `    ${type} ${type}s[${size}];`);
  const calls = sections.map((_, k) => `    section${k}(a, ${element}, w);`);
  return ["  struct Spilled {", ...spilled, "  };", ...functions, head, "    Spilled w;", ...calls, "  }"];
}

const definedBy = (section: readonly string[]): string[] => section.flatMap((statement) => DEFINITION.exec(statement)?.[1] ?? []);

/**
 * Where the values that leave their section lie, and which ones each section needs from those before it. A place is used again after its value's last
 * use.
 */
function placesOf(sections: readonly (readonly string[])[]) {
  const home = new Map(sections.flatMap((section, k) => definedBy(section).map((name) => [name, k] as const)));
  const needed = sections.map((section, k) => {
    const names = new Set(section.flatMap((statement) => statement.match(NAMES) ?? []));
    return [...names].filter((name) => (home.get(name) ?? k) < k);
  });
  const last = new Map(needed.flatMap((names, k) => names.map((name) => [name, k] as const)));
  const places = new Map<string, string>();
  const sizes = new Map<Type, number>();
  const free: Record<Type, string[]> = { bool: [], index: [], float: [] };
  const typeOf = (name: string) => TYPES[name.charAt(0)] as Type;
  sections.forEach((section, k) => {
    // A section reads all that it needs before it writes.
    for (const name of needed[k] as readonly string[])
      if (last.get(name) === k) free[typeOf(name)].push(places.get(name) as string);
    for (const name of definedBy(section)) {
      if (!last.has(name)) continue;
      const type = typeOf(name);
      const size = sizes.get(type) ?? 0;
      const known = free[type].pop();
      places.set(name, known ?? `w.${type}s[${size}]`);
      if (known === undefined) sizes.set(type, size + 1);
    }
  });
  return { places, needed, sizes };
}
