/** Random JavaScript: expressions of every operator, over values of every kind, with effects whose order is recorded. */
import fc from "fast-check";

/** Variables that the programs read and write, and what they may hold. */
export const NAMES = ["a", "b", "c", "d"] as const;
export const VALUES = [
  "0",
  "-0",
  "1",
  "-1",
  "0.5",
  "3",
  "1e308",
  "NaN",
  "Infinity",
  "-Infinity",
  "''",
  "'7'",
  "'x'",
  "null",
  "undefined",
];
export const OTHERS = ["true", "false", "2n", "-3n", "0n", "[]", "[4]", "noisy('v', 5)", "noisy('w', 'z')"];

export const BINARY = "+ - * / % ** < <= > >= == != === !== & | ^ << >> >>>".split(" ");
/** TypeScript takes `(a) < (` for the start of a type argument. */
const BEFORE_PARENTHESIS = BINARY.filter((operator) => operator !== "<" && operator !== "<<");
const ASSIGNMENTS = "= += -= *= /= %= **= &= |= ^= <<= >>= >>>= &&= ||= ??=".split(" ");
export const UNARY = ["-", "+", "!", "~", "typeof ", "void "];
const MATH = ["Math.exp", "Math.abs", "Math.floor", "Math.sign", "Math.sqrt", "Math.log1p", "Math.round", "Math['tanh']"];
const PREDICATES = ["isFinite", "isNaN", "Number.isFinite", "Number.isNaN"];

/** Targets of an assignment; each records its evaluation. */
const TARGETS = [...NAMES, "box.p", "get().q", "get('h').box.r", "get()[key('s')]", "box[key('p')]", "box['q']", "box.z"];

const label = fc.integer({ min: 0, max: 99 });

/** An expression in parentheses wherever it stands in another. */
export const expression: fc.Arbitrary<string> = fc.letrec<{ any: string; leaf: string; inner: string }>((tie) => ({
  leaf: fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom<string>(...NAMES) },
    { weight: 2, arbitrary: fc.constantFrom(...VALUES) },
    { weight: 1, arbitrary: fc.constantFrom(...OTHERS) },
    { weight: 1, arbitrary: fc.constantFrom("box.p", "box?.q", "get().r") },
  ),
  inner: tie("any").map((x) => `(${x})`),
  any: fc.oneof(
    { maxDepth: 5, depthSize: "large", withCrossShrink: true },
    tie("leaf"),
    {
      weight: 6,
      arbitrary: fc
        .tuple(tie("inner"), fc.constantFrom(...BEFORE_PARENTHESIS), tie("inner"))
        .map(([a, op, b]) => `${a} ${op} ${b}`),
    },
    fc
      .tuple(tie("inner"), fc.constantFrom("<", "<<"), fc.constantFrom(...NAMES, "-3", "'2'"))
      .map(([a, op, b]) => `${a} ${op} ${b}`),
    fc.tuple(tie("inner"), fc.constantFrom("&&", "||", "??", ","), tie("inner")).map(([a, op, b]) => `${a} ${op} ${b}`),
    fc.tuple(tie("inner"), tie("inner"), tie("inner")).map(([a, b, c]) => `${a} ? ${b} : ${c}`),
    fc.tuple(fc.constantFrom(...UNARY), tie("inner")).map(([op, x]) => `${op}${x}`),
    fc.tuple(label, tie("inner")).map(([n, x]) => `say(${n}, ${x})`),
    fc.tuple(fc.constantFrom(...TARGETS), fc.constantFrom(...ASSIGNMENTS), tie("inner")).map(([t, op, x]) => `${t} ${op} ${x}`),
    fc
      .tuple(fc.constantFrom(...TARGETS), fc.constantFrom("++", "--"), fc.boolean())
      .map(([t, op, before]) => (before ? `${op}${t}` : `${t}${op}`)),
    fc.tuple(fc.constantFrom(...MATH, ...PREDICATES), tie("inner")).map(([f, x]) => `${f}(${x})`),
    fc
      .tuple(fc.constantFrom("Math.max", "Math.min", "Math.pow", "Math.hypot"), fc.array(tie("inner"), { maxLength: 3 }))
      .map(([f, x]) => `${f}(${x.join(", ")})`),
    tie("inner").map((x) => `[${x}, 1].map((a) => a + ${x})[0]`),
    tie("inner").map((x) => `(() => { let a = ${x}; a += 1; return a; })()`),
    tie("inner").map((x) => `\`<$\{${x}}>\``),
    tie("inner")
      .map(
        (x) =>
          `{ let i = 0, s = 0; do { if (i === 1) s += ${x}; else s -= i; switch (i) { case s: s *= 2; } } while (++i < 3); for (; i > 1; i--) s ||= i; while (i < 2) i += 1; return s; }`,
      )
      .map((body) => `(() => ${body})()`),
    tie("inner").map((x) => `typeof delete box[key(${x} + '')]`),
  ),
})).any;

/** Operators one after the other, without a parenthesis: which of them binds first is for the parser to say. */
export const chain: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom<string>(...NAMES),
    fc.array(
      fc.tuple(
        fc.constantFrom(...BINARY, "&&", "||"),
        fc.constantFrom("", "", "-", "+", "!"),
        fc.constantFrom<string>(...NAMES, "2", "0.5", "'3'"),
      ),
      {
        minLength: 2,
        maxLength: 9,
      },
    ),
    fc.boolean(),
  )
  .map(([first, rest, ask]) => {
    // A sign before the base of a power is a mistake of the syntax.
    const text = rest.reduce((sum, [op, sign, x], i) => `${sum} ${op} ${rest[i + 1]?.[0] === "**" ? "" : sign}${x}`, first);
    return ask ? `${text} ? ${text} : d` : text;
  });

/** The initial values of the variables. */
export const values: fc.Arbitrary<readonly string[]> = fc.tuple(...NAMES.map(() => fc.constantFrom(...VALUES, ...OTHERS)));

/** A module whose `results` are what each expression came to, and everything that happened on the way. */
export function program(expressions: readonly string[], initial: readonly string[]): string {
  const runs = expressions.map((text) => `run((a, b, c, d) => { const value = (${text}); return [value, a, b, c, d]; });`);
  return `
const results = [];
function run(body) {
  const effects = [];
  const noisy = (name, value) => ({ valueOf() { effects.push(name); return value; }, toString() { effects.push(name + "!"); return String(value); } });
  prepare(effects, noisy);
  let outcome;
  try { outcome = body(${initial.join(", ")}); } catch (error) { outcome = error; }
  results.push([outcome, effects, { ...box }, box.z]);
}
let box, get, key, say, noisy;
function prepare(effects, make) {
  noisy = make;
  box = { p: 1, q: "2" };
  box.box = box;
  let z = 0;
  Object.defineProperty(box, "z", { get: () => z, set(value) { effects.push("set"); z = value; } });
  get = (name = "g") => { effects.push(name); return box; };
  key = (name) => { effects.push(name); return name; };
  say = (n, x) => { effects.push(n); return x; };
}
${runs.join("\n")}`;
}
