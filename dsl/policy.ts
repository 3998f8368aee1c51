/**
 * The leaves of a loss that its author does not declare: logits or logprobs, the target and the weights. To programs they are inputs like any other.
 */
import type { Expression } from "./expression.js";
import { at, type Input, input, isAt, logprobAt } from "./ops/index.js";

/** The row of logits of each token. */
export const logits: Input = input("logits", "vocab", { differentiable: true });
/** The policy's logprobs where the caller brings them in place of logits. */
export const policyLogprobs: Input = input("policy_logprobs", "token", { differentiable: true });
/** Weights of the loss, 1 where none are given. */
export const weights: Input = input("weights", "token", { default: 1 });

/** The input that names the target's entry of each row. */
export const TARGET = "target_tokens";
export const isTarget: Expression = isAt(TARGET);
export const targetLogprob = (x: Expression): Expression => logprobAt(x, TARGET);
export const atTarget = (x: Expression): Expression => at(x, TARGET);
