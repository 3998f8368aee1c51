/** Expected text, values and gradients of every op, at chosen points that include kinks and infinities. */

const INF = Number.POSITIVE_INFINITY;
const NAN = Number.NaN;
const E = Math.E;
const ERF_SLOPE = 2 / Math.sqrt(Math.PI);

/** Operands, the value there, and what reaches each operand of an adjoint of 1. */
export type Point = readonly [operands: readonly number[], value: number, gradient: readonly number[]];

export interface RowCase {
  /** Text of the kernel with operands a, b, c. */
  readonly text: string;
  readonly rowText?: string;
  readonly points: readonly Point[];
  /** Where the gradient is the slope. */
  readonly smooth?: readonly (readonly number[])[];
}

/** Comparisons pass no gradient. */
const comparison = (
  text: string,
  truth: readonly [less: number, equal: number, greater: number],
  unordered: number,
): RowCase => ({
  text,
  points: [
    [[1, 2], truth[0], [0, 0]],
    [[2, 2], truth[1], [0, 0]],
    [[0, -0], truth[1], [0, 0]],
    [[INF, INF], truth[1], [0, 0]],
    [[3, 2], truth[2], [0, 0]],
    [[-INF, INF], truth[0], [0, 0]],
    [[NAN, 1], unordered, [0, 0]],
    [[NAN, NAN], unordered, [0, 0]],
  ],
});

export const ROWS: Readonly<Record<string, RowCase>> = {
  mulAdjoint: {
    text: "mul_adjoint_(a, b)",
    points: [
      [[2, 3], 6, [3, 2]],
      [[0, INF], 0, [INF, 0]],
      [[0, NAN], 0, [NAN, 0]],
      [[-0, INF], -0, [INF, 0]],
      [[2, INF], INF, [INF, 2]],
      [[NAN, 0], NAN, [0, NAN]],
    ],
    smooth: [[1.5, -2]],
  },
  mulNoNan: {
    text: "mul_no_nan_(a, b)",
    points: [
      [[2, 3], 6, [3, 2]],
      [[0, INF], 0, [INF, 0]],
      [[INF, 0], 0, [0, INF]],
      [[0, NAN], 0, [NAN, 0]],
      [[NAN, 0], 0, [0, NAN]],
      [[0, -INF], 0, [-INF, 0]],
      [[2, INF], INF, [INF, 2]],
      [[NAN, 1], NAN, [1, NAN]],
    ],
    smooth: [[1.5, -2]],
  },
  logprob: {
    text: "logprob_(a, b, c)",
    points: [
      [[2, 2, 1], 0, [1, -1, -1]],
      [[-1, 2, 4], -3 - Math.log(4), [1, -1, -0.25]],
      [[-INF, 2, 4], -INF, [1, -1, -0.25]],
      [[1, NAN, 4], NAN, [1, -1, -0.25]],
      [[-INF, -INF, 1], NAN, [1, -1, -1]],
    ],
    smooth: [[-1, 2, 3]],
  },
  exponent: {
    text: "exponent_(a, b)",
    points: [
      [[3, 3], 0, [Math.LOG2E, -Math.LOG2E]],
      [[Math.LN2, 0], 1, [Math.LOG2E, -Math.LOG2E]],
      [[-INF, 2], -INF, [Math.LOG2E, -Math.LOG2E]],
      [[-INF, -INF], NAN, [Math.LOG2E, -Math.LOG2E]],
    ],
    smooth: [[-1, 2]],
  },
  scaledExponent: {
    text: "exponent_(a, b, c)",
    points: [
      [[4, 3, 1], Math.LOG2E, [Math.LOG2E, -Math.LOG2E, 4 * Math.LOG2E]],
      [[Math.LN2, 0, 2], 2, [2 * Math.LOG2E, -Math.LOG2E, 1]],
      [[-INF, 2, 0.5], -INF, [0.5 * Math.LOG2E, -Math.LOG2E, -INF]],
      [[-INF, -INF, 1], NAN, [Math.LOG2E, -Math.LOG2E, -INF]],
    ],
    smooth: [[-1, 2, 0.5]],
  },
  add: {
    text: "a + b",
    points: [
      [[1, 2], 3, [1, 1]],
      [[INF, -INF], NAN, [1, 1]],
      [[-0, -0], -0, [1, 1]],
    ],
    smooth: [[0.3, -2]],
  },
  sub: {
    text: "a - b",
    points: [
      [[1, 2], -1, [1, -1]],
      [[INF, INF], NAN, [1, -1]],
      [[2, 2], 0, [1, -1]],
    ],
    smooth: [[0.3, -2]],
  },
  mul: {
    text: "a * b",
    points: [
      [[2, -3], -6, [-3, 2]],
      [[0, INF], NAN, [INF, 0]],
      [[0, -3], -0, [-3, 0]],
    ],
    smooth: [[0.3, -2]],
  },
  div: {
    text: "a / b",
    points: [
      [[1, 4], 0.25, [0.25, -0.0625]],
      [[1, 0], INF, [INF, -INF]],
      [[1, -0], -INF, [-INF, -INF]],
      [[0, 0], NAN, [INF, NAN]],
      [[3, INF], 0, [0, 0]],
    ],
    smooth: [[0.3, -2]],
  },
  neg: {
    text: "-a",
    points: [
      [[2], -2, [-1]],
      [[0], -0, [-1]],
      [[-INF], INF, [-1]],
    ],
    smooth: [[0.3]],
  },
  pow: {
    text: "pow_(a, b)",
    points: [
      [[2, 3], 8, [12, 8 * Math.LN2]],
      [[-2, 3], -8, [12, NAN]],
      [[0, 0], 1, [0, 0]],
      [[0, 2], 0, [0, 0]],
      [[0, 0.5], 0, [INF, 0]],
      [[NAN, 0], 1, [0, NAN]],
      [[1, NAN], 1, [NAN, 0]],
      [[-1, INF], 1, [INF, NAN]],
      [[4, -0.5], 0.5, [-0.0625, 0.5 * Math.log(4)]],
    ],
    smooth: [
      [0.7, 1.3],
      [2.5, -0.75],
    ],
  },
  log: {
    text: "log_(a)",
    points: [
      [[E], 1, [1 / E]],
      [[1], 0, [1]],
      [[0], -INF, [INF]],
      [[-1], NAN, [-1]],
      [[INF], INF, [0]],
    ],
    smooth: [[0.3], [7]],
  },
  eq: comparison("a == b", [0, 1, 0], 0),
  ne: comparison("a != b", [1, 0, 1], 1),
  lt: comparison("a < b", [1, 0, 0], 0),
  le: comparison("a <= b", [1, 1, 0], 0),
  gt: comparison("a > b", [0, 0, 1], 0),
  ge: comparison("a >= b", [0, 1, 1], 0),
  // Of truth values: 1 and 0 here.
  and: { text: "a & b", points: [0, 1].flatMap((a) => [0, 1].map((b): Point => [[a, b], a * b, [0, 0]])) },
  or: { text: "a | b", points: [0, 1].flatMap((a) => [0, 1].map((b): Point => [[a, b], Math.max(a, b), [0, 0]])) },
  not: {
    text: "!a",
    points: [
      [[0], 1, [0]],
      [[1], 0, [0]],
    ],
  },
  // The branch that is not taken gets no gradient, even where it is not finite.
  where: {
    text: "select(a, b, c)",
    points: [
      [[1, 2, 3], 2, [0, 1, 0]],
      [[0, 2, 3], 3, [0, 0, 1]],
      [[1, 2, NAN], 2, [0, 1, 0]],
      [[0, INF, -0], -0, [0, 0, 1]],
    ],
  },
  min: {
    text: "min_(a, b)",
    points: [
      [[1, 2], 1, [1, 0]],
      [[2, 1], 1, [0, 1]],
      [[2, 2], 2, [0.5, 0.5]],
      [[INF, INF], INF, [0.5, 0.5]],
      [[NAN, 1], NAN, [1, 1]],
      [[1, NAN], NAN, [1, 1]],
    ],
    smooth: [[0.3, -2]],
  },
  max: {
    text: "max_(a, b)",
    points: [
      [[1, 2], 2, [0, 1]],
      [[2, 1], 2, [1, 0]],
      [[2, 2], 2, [0.5, 0.5]],
      [[-INF, -INF], -INF, [0.5, 0.5]],
      [[NAN, 1], NAN, [1, 1]],
      [[1, NAN], NAN, [1, 1]],
    ],
    smooth: [[0.3, -2]],
  },
  clamp: {
    text: "clamp_(a, b, c)",
    points: [
      [[0.5, 0, 1], 0.5, [1, 0, 0]],
      [[0, 0, 1], 0, [1, 0, 0]],
      [[1, 0, 1], 1, [1, 0, 0]],
      [[-1, 0, 1], 0, [0, 1, 0]],
      [[2, 0, 1], 1, [0, 0, 1]],
      [[INF, 0, 1], 1, [0, 0, 1]],
      [[NAN, 0, 1], NAN, [0, 0, 0]],
      // Where the bounds cross, the upper one holds.
      [[0.5, 1, 0], 0, [0, 0, 1]],
    ],
    smooth: [
      [0.5, 0, 1],
      [-0.5, 0, 1],
    ],
  },
  exp: {
    text: "exp_(a)",
    rowText: "fast_exp_(a)",
    points: [
      [[0], 1, [1]],
      [[1], E, [E]],
      [[-INF], 0, [0]],
      [[INF], INF, [INF]],
    ],
    smooth: [[0.3], [-2]],
  },
  exp2: {
    text: "exp2_(a)",
    points: [
      [[0], 1, [Math.LN2]],
      [[-2], 0.25, [0.25 * Math.LN2]],
      [[-INF], 0, [0]],
    ],
    smooth: [[0.3], [-2]],
  },
  log1p: {
    text: "log1p_(a)",
    points: [
      [[0], 0, [1]],
      [[1e-10], 1e-10, [1]],
      [[-1], -INF, [INF]],
      [[-2], NAN, [-1]],
    ],
    smooth: [[0.3], [-0.9]],
  },
  expm1: {
    text: "expm1_(a)",
    points: [
      [[0], 0, [1]],
      [[1e-10], 1e-10, [1]],
      [[-INF], -1, [0]],
      [[INF], INF, [INF]],
    ],
    smooth: [[0.3], [-2]],
  },
  sqrt: {
    text: "sqrt_(a)",
    points: [
      [[4], 2, [0.25]],
      [[0], 0, [INF]],
      [[-0], -0, [-INF]],
      [[-1], NAN, [NAN]],
      [[INF], INF, [0]],
    ],
    smooth: [[0.3]],
  },
  square: {
    text: "a * a",
    points: [
      [[3], 9, [6]],
      [[0], 0, [0]],
      [[-INF], INF, [-INF]],
    ],
    smooth: [[0.3], [-2]],
  },
  tanh: {
    text: "tanh_(a)",
    points: [
      [[0], 0, [1]],
      [[INF], 1, [0]],
      [[-40], -1, [0]],
      [[NAN], NAN, [NAN]],
    ],
    smooth: [[0.3], [-2]],
  },
  erf: {
    text: "erf_(a)",
    points: [
      [[0], 0, [ERF_SLOPE]],
      [[-0], -0, [ERF_SLOPE]],
      [[INF], 1, [0]],
      [[-INF], -1, [0]],
      [[NAN], NAN, [NAN]],
      [[0.5], 0.5204998778130465, [ERF_SLOPE * Math.exp(-0.25)]],
      [[-1], -0.8427007929497149, [ERF_SLOPE / E]],
      [[2], 0.9953222650189527, [ERF_SLOPE / E ** 4]],
      [[2.25], 0.9985372834133188, [ERF_SLOPE * Math.exp(-5.0625)]],
      [[-3], -0.9999779095030014, [ERF_SLOPE / E ** 9]],
      [[40], 1, [0]],
    ],
    smooth: [[0.3], [-1.5], [2.5]],
  },
  sigmoid: {
    text: "sigmoid_(a)",
    points: [
      [[0], 0.5, [0.25]],
      [[-INF], 0, [0]],
      [[INF], 1, [0]],
      [[20], 1 / (1 + Math.exp(-20)), [2.061153618190204e-9]],
    ],
    smooth: [[0.3], [-2]],
  },
  softplus: {
    text: "softplus_(a)",
    points: [
      [[0], Math.LN2, [0.5]],
      [[-20], 2.061153620314381e-9, [2.061153618190204e-9]],
      [[100], 100, [1]],
      [[-INF], 0, [0]],
      [[INF], INF, [1]],
    ],
    smooth: [[0.3], [-2]],
  },
  logSigmoid: {
    text: "log_sigmoid_(a)",
    points: [
      [[0], -Math.LN2, [0.5]],
      [[20], -2.061153620314381e-9, [2.061153618190204e-9]],
      [[-100], -100, [1]],
      [[-INF], -INF, [1]],
    ],
    smooth: [[0.3], [-2]],
  },
  log1mexp: {
    text: "log1mexp_(a)",
    points: [
      [[-Math.LN2], -Math.LN2, [-1]],
      [[-1e-10], -23.025850929990458, [-1e10 + 0.5]],
      [[-20], -2.061153624562735e-9, [-2.0611536224385e-9]],
      [[-INF], -0, [-0]],
      [[1], NAN, [-1 / Math.expm1(-1)]],
    ],
    smooth: [[-0.3], [-2]],
  },
  abs: {
    text: "abs_(a)",
    points: [
      [[-2], 2, [-1]],
      [[2], 2, [1]],
      [[0], 0, [0]],
      [[-0], 0, [0]],
      [[-INF], INF, [-1]],
    ],
    smooth: [[0.3], [-2]],
  },
  sign: {
    text: "sign_(a)",
    points: [
      [[-2], -1, [0]],
      [[0], 0, [0]],
      [[-0], -0, [0]],
      [[INF], 1, [0]],
      [[NAN], NAN, [0]],
    ],
  },
  floor: {
    text: "floor_(a)",
    points: [
      [[1.5], 1, [0]],
      [[-1.5], -2, [0]],
      [[-0], -0, [0]],
      [[-INF], -INF, [0]],
    ],
  },
  isFinite: {
    text: "is_finite_(a)",
    points: [
      [[1], 1, [0]],
      [[INF], 0, [0]],
      [[-INF], 0, [0]],
      [[NAN], 0, [0]],
      [[3e38], 1, [0]],
    ],
  },
  stopGradient: {
    text: "a",
    points: [
      [[2], 2, [0]],
      [[NAN], NAN, [0]],
    ],
  },
};
