import { type Expr, exp, mean, min, type Policy, pick, square, stopGradient } from "../dsl/index.js";

// Terms that losses share, one definition each: ordinary functions of expressions, for losses of one's own as well.
// The KL estimators take logprobs a and b (nats) of the same tokens and estimate KL(A‖B) for tokens drawn from A.

/** log ratio: unbiased, of either sign. */
export const klK1 = (b: Expr, a: Expr): Expr => a - b;

/** Half the squared log ratio: biased, never negative, of low variance. */
export const klK2 = (b: Expr, a: Expr): Expr => square(a - b) / 2;

/** exp(b − a) − (b − a) − 1: unbiased and never negative. */
export const klK3 = (b: Expr, a: Expr): Expr => exp(b - a) - (b - a) - 1;

/** The square of the log-normaliser, per token. */
export const zLoss = (policy: Policy): Expr => square(policy.logsumexp);

/** min(exp(a − q), cap) as a constant: how much likelier a token is under a than under the sampler q, with the excess cut off. Per token. */
export const truncatedImportanceWeight = (a: Expr, q: Expr, cap: Expr): Expr => stopGradient(min(exp(a - q), cap));

/**
 * A − coefficient·(log q − log ρ): the advantages of a reward that is charged for the distance of the sampler q from a reference model ρ, per
 * token. All are data, so the penalty carries no gradient of its own; and plain numbers may be given as well, to prepare the advantages of a loss
 * that is built in.
 */
export const klPenalised = (advantages: Expr, q: Expr, reference: Expr, coefficient: Expr): Expr =>
  advantages - coefficient * klK1(reference, q);

/** Chosen minus rejected, of a value per sequence, in groups of two with the chosen sequence first. Per group. */
export const margin = (x: Expr): Expr => pick(x, "sequences", 0) - pick(x, "sequences", 1);

/** The mean over all tokens that count. A scalar. */
export const tokenMean = (x: Expr): Expr => mean(x);

/** The mean over sequences of each sequence's mean. A scalar. */
export const sequenceMean = (x: Expr): Expr => mean(mean(x, "tokens"));

/** The mean over groups of the mean over each group's sequences of their means. A scalar. */
export const groupMean = (x: Expr): Expr => mean(mean(mean(x, "tokens"), "sequences"));
