/** Random losses: a list of small whole numbers that fast-check can shrink, and what a person reads when one fails. */
import fc from "fast-check";
import {
  abs,
  add,
  amax,
  amin,
  and,
  atTarget,
  clamp,
  count,
  defineLoss,
  div,
  type Expr,
  type Expression,
  eq,
  erf,
  exp,
  expm1,
  floor,
  gt,
  isFinite,
  type LossDefinition,
  le,
  log,
  log1mexp,
  log1p,
  logSigmoid,
  logSoftmax,
  logsumexp,
  lt,
  max,
  mean,
  min,
  mul,
  ne,
  neg,
  not,
  or,
  pick,
  pow,
  sigmoid,
  sign,
  softmax,
  softplus,
  sqrt,
  square,
  std,
  stopGradient,
  sub,
  sum,
  tanh,
  variance,
  where,
} from "../../dsl/index.js";
import type { Axis } from "../../dsl/spaces.js";

/** One line of a random loss: an op and the values that it reads, each a number that is taken modulo how many there are. */
export interface Instruction {
  readonly op: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

export interface Recipe {
  readonly instructions: readonly Instruction[];
  /** Which values become terms of the loss, metrics and outputs. */
  readonly terms: readonly number[];
  readonly metrics: readonly number[];
  readonly outputs: readonly number[];
  /** Of the data that the loss is run on. */
  readonly seed: number;
}

const operand = fc.nat(999);
export const recipes = (most = 14): fc.Arbitrary<Recipe> =>
  fc.record({
    instructions: fc.array(fc.record({ op: operand, a: operand, b: operand, c: operand }), { minLength: 1, maxLength: most }),
    terms: fc.array(operand, { minLength: 1, maxLength: 3 }),
    metrics: fc.array(operand, { maxLength: 2 }),
    outputs: fc.array(operand, { maxLength: 2 }),
    seed: fc.nat(0x7fffffff),
  });

interface Entry {
  readonly x: Expr;
  readonly text: string;
}
type Maker = (...entries: Entry[]) => Entry;

const made = (name: string, f: (...xs: Expr[]) => Expr, takes: number): Maker[] => [
  (...entries) => {
    const used = entries.slice(0, takes);
    return { x: f(...used.map(({ x }) => x)), text: `${name}(${used.map(({ text }) => text).join(", ")})` };
  },
];

/** Differentiable wherever they are defined, and tame enough that values stay of the order of 1. */
const SMOOTH: readonly Maker[] = [
  ...made("add", add, 2),
  ...made("sub", sub, 2),
  ...made("mul", mul, 2),
  ...made("neg", neg, 1),
  ...made("square", square, 1),
  ...made("tanh", tanh, 1),
  ...made("erf", erf, 1),
  ...made("sigmoid", sigmoid, 1),
  ...made("softplus", softplus, 1),
  ...made("logSigmoid", logSigmoid, 1),
  ...made("expTanh", (a) => exp(tanh(a)), 1),
  ...made("expm1Tanh", (a) => expm1(tanh(a)), 1),
  ...made("logOf1PlusSquare", (a) => log(add(1, square(a))), 1),
  ...made("log1pOfSquare", (a) => log1p(square(a)), 1),
  ...made("sqrtOf1PlusSquare", (a) => sqrt(add(1, square(a))), 1),
  ...made("divBy1PlusSquare", (a, b) => div(a, add(1, square(b))), 2),
  ...made("log1mexpOfMinusSoftplus", (a) => log1mexp(neg(add(0.125, softplus(a)))), 1),
  ...made("cube", (a) => pow(a, 3), 1),
  ...made("powOfSoftplus", (a, b) => pow(add(0.5, softplus(a)), tanh(b)), 2),
  ...made("half", (a) => mul(0.5, a), 1),
];

/** With kinks, ties, decisions and infinities. */
const SHARP: readonly Maker[] = [
  ...made("min", min, 2),
  ...made("max", max, 2),
  ...made("minAtOne", (a) => min(a, 1), 1),
  ...made("maxOfNeg", (a, b) => max(neg(a), neg(b)), 2),
  ...made("surrogate", (a, b) => min(mul(a, b), mul(clamp(a, 0.5, 1.5), b)), 2),
  ...made("clamp", (a, b, c) => clamp(a, min(b, c), max(b, c)), 3),
  ...made("clampAt", (a) => clamp(a, -0.5, 1.25), 1),
  ...made("abs", abs, 1),
  ...made("relu", (a) => max(a, 0), 1),
  ...made("whereLt", (a, b, c) => where(lt(a, b), c, a), 3),
  ...made("whereGt", (a, b, c) => where(gt(a, 0.5), b, c), 3),
  ...made("whereEq", (a, b, c) => where(eq(a, b), c, b), 3),
];

/** Not for finite differences: no gradient where the value moves, or values without bound. */
const WILD: readonly Maker[] = [
  ...made("whereNe", (a, b, c) => where(and(ne(a, b), le(b, c)), a, neg(b)), 3),
  ...made("whereNot", (a, b, c) => where(or(not(gt(a, c)), isFinite(b)), b, c), 3),
  ...made("stopGradient", stopGradient, 1),
  ...made("sign", sign, 1),
  ...made("floor", floor, 1),
  ...made("exp", exp, 1),
  ...made("log", log, 1),
  ...made("div", div, 2),
  ...made("sqrt", sqrt, 1),
  ...made("expm1", expm1, 1),
  ...made("log1p", log1p, 1),
  ...made("log1mexp", log1mexp, 1),
  ...made("pow2", (a) => pow(a, 2), 1),
  ...made("powHalf", (a) => pow(a, 0.5), 1),
  ...made("powMinus1", (a) => pow(a, -1), 1),
  ...made("pow0", (a) => pow(a, 0), 1),
  ...made("pow", pow, 2),
  ...made("equalBranches", (a, b) => min(add(a, b), add(b, a)), 2),
];

/** Rows of the row: a value per entry. */
const ROWS: readonly Maker[] = [
  ...made("add", add, 2),
  ...made("sub", sub, 2),
  ...made("mul", mul, 2),
  ...made("neg", neg, 1),
  ...made("divBy1PlusSquare", (a, b) => div(a, add(1, square(b))), 2),
  ...made("half", (a) => mul(0.5, a), 1),
  ...made("expOfHalf", (a) => exp(mul(0.5, a)), 1),
  ...made("square", square, 1),
  ...made("max", max, 2),
  ...made("whereLt", (a, b, c) => where(lt(a, b), c, a), 3),
];

const AXES = { vocab: "vocab", token: "tokens", sequence: "sequences", group: "groups" } as const;
type Reducible = keyof typeof AXES;
const spaceOf = (x: Expr) => (x as unknown as Expression).space as Reducible | "batch";

type Reduce = (x: Expr, axis?: Axis) => Expr;
const REDUCTIONS: readonly (readonly [string, Reduce])[] = [
  ["sum", sum],
  ["mean", mean],
  ["variance", variance],
  ["varianceOfAll", (x, axis) => variance(x, axis, { unbiased: false })],
  ["std", (x, axis) => std(x, axis, { unbiased: false })],
  ["amax", amax],
  ["amin", amin],
  ["logsumexp", logsumexp],
  ["count", count],
];
/** Of a single value std is 0 by a kink, and ties share: finite differences see neither. */
const SMOOTH_REDUCTIONS = REDUCTIONS.filter(([name]) => !["std", "variance"].includes(name));

export interface Kind {
  /** Only what finite differences can check. */
  readonly smooth: boolean;
  readonly from: "logits" | "policy_logprobs";
  readonly groups: boolean;
  /** Expressions of rows. Only from logits. */
  readonly rows?: boolean;
}

/** The loss that a recipe says, and its text. */
export function lossOf(
  recipe: Recipe,
  kind: Kind,
  name = "random",
): { readonly loss: LossDefinition; readonly text: () => string } {
  let text = "";
  const loss = defineLoss({
    name,
    inputs: {
      a: "token",
      b: "token",
      s: "sequence",
      ...(kind.groups ? { g: "group" as const } : {}),
      e: "batch",
      weights: "token",
      d: { space: "token", default: 0.75 },
      ...(kind.rows ? { v: "vocab" as const } : {}),
    },
    config: { k: 0.5 },
    loss(policy, inputs, config) {
      const lines: string[] = [];
      // The last are chosen most often: what the policy gives, and what meets it.
      const pool: Entry[] = [
        { x: add(1, 0), text: "1" },
        { x: config.k, text: "k" },
        { x: inputs.e, text: "e" },
        { x: inputs.d, text: "d" },
        { x: inputs.weights, text: "weights" },
        { x: inputs.b, text: "b" },
        ...(kind.groups ? [{ x: (inputs as Record<string, Expr>).g as Expr, text: "g" }] : []),
        { x: inputs.s, text: "s" },
        ...(kind.from === "logits" ? [{ x: policy.logsumexp, text: "logsumexp" }] : []),
        { x: sum(policy.logprobs, "tokens"), text: 'sum(logprobs, "tokens")' },
        { x: inputs.a, text: "a" },
        { x: exp(sub(policy.logprobs, inputs.a)), text: "exp(sub(logprobs, a))" },
        { x: policy.logprobs, text: "logprobs" },
        ...(kind.rows
          ? [
              { x: policy.entropy, text: "entropy" },
              { x: (inputs as Record<string, Expr>).v as Expr, text: "v" },
              { x: softmax(policy.logits), text: "softmax(logits)" },
              { x: logSoftmax(policy.logits), text: "logSoftmax(logits)" },
              { x: policy.logits, text: "logits" },
            ]
          : []),
      ];
      const makers = kind.smooth ? [...SMOOTH, ...SHARP] : [...SMOOTH, ...SHARP, ...WILD];
      const reductions = kind.smooth ? SMOOTH_REDUCTIONS : REDUCTIONS;
      const at = (i: number): Entry => {
        // Half of the choices fall on what was made last, so that graphs grow deep.
        const among = i % 2 === 0 ? Math.min(4, pool.length) : pool.length;
        return pool[pool.length - 1 - (Math.floor(i / 2) % among)] as Entry;
      };
      const put = ({ x, text: how }: Entry) => {
        const known = pool.find((entry) => entry.x === x);
        if (known) pool.push(known);
        else {
          lines.push(`const v${lines.length} = ${how};`);
          pool.push({ x, text: `v${lines.length - 1}` });
        }
      };
      for (const { op, a, b, c } of recipe.instructions) {
        const entries = [at(a), at(b), at(c)] as const;
        // A quarter of the ops fold.
        if (op % 4 === 0) {
          const [reduction, reduce] = reductions[Math.floor(op / 4) % reductions.length] as (typeof REDUCTIONS)[number];
          const { x, text: of } = entries[0];
          const space = spaceOf(x);
          const whole = space === "batch" || b % (space === "vocab" ? 4 : 2) === 0 || (!kind.groups && space === "sequence");
          const axis = whole ? undefined : AXES[space as Reducible];
          put({ x: reduce(x, axis), text: `${reduction}(${of}${axis ? `, "${axis}"` : ""})` });
        } else if (spaceOf(entries[0].x) === "vocab" && op % 4 === 1) {
          put({ x: atTarget(entries[0].x), text: `atTarget(${entries[0].text})` });
        } else if (entries.some(({ x }) => spaceOf(x) === "vocab"))
          put((ROWS[Math.floor(op / 4) % ROWS.length] as Maker)(...entries));
        else if (kind.groups && spaceOf(entries[0].x) === "sequence" && op % 4 === 1) {
          put({ x: pick(entries[0].x, "sequences", 0), text: `pick(${entries[0].text}, "sequences", 0)` });
        } else put((makers[Math.floor(op / 4) % makers.length] as Maker)(...entries));
      }
      const choose = (i: number) => pool[pool.length - 1 - (i % pool.length)] as Entry;
      const terms = recipe.terms.map((i) => choose(i % 5));
      const metrics = recipe.metrics.map(choose).map(({ x, text: of }) => ({
        x: spaceOf(x) === "batch" ? x : mean(spaceOf(x) === "vocab" ? amax(x, "vocab") : x),
        text: of,
      }));
      const outputs = recipe.outputs.map(choose).filter(({ x }) => spaceOf(x) === "token" || spaceOf(x) === "sequence");
      const named = (entries: readonly Entry[], prefix: string) =>
        Object.fromEntries(entries.map(({ x }, i) => [`${prefix}${i}`, x]));
      const said = (entries: readonly Entry[]) => entries.map((entry) => entry.text).join(", ");
      lines.push(`loss ${said(terms)}; metrics ${said(metrics)}; outputs ${said(outputs)}`);
      text = lines.join("\n");
      return { loss: terms.map(({ x }) => x), metrics: named(metrics, "m"), outputs: named(outputs, "o") };
    },
  }) as unknown as LossDefinition;
  return { loss, text: () => text };
}
