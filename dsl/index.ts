/** The language. Imports nothing but itself. */
export * from "./define-loss.js";
export { ERROR_CODES, type ErrorCode, type ErrorDetails, LosscError, type SourcePosition } from "./errors.js";
export { type Expr, type Expression, isExpression, type Num } from "./expression.js";
export * from "./functions.js";
export { REDUCTIONS, type Reduction } from "./ops/names.js";
export {
  amax,
  amin,
  count,
  logsumexp,
  mean,
  std,
  sum,
  variance,
  weightedMean,
} from "./reductions.js";
export { type Axis, type InputSpace, SPACES, type Space } from "./spaces.js";
export { atTarget, index, logSoftmax, pick, softmax } from "./vocabulary.js";
