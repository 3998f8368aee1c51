import { defineLoss, logSoftmax, softmax, sum } from "../dsl/index.js";
import { policyMetrics } from "./metrics.loss.js";

/**
 * Distillation that stays within the teacher, per token: Σ s·(log s − log t), s and t the softmax of the student's and the teacher's logits over
 * temperature.
 *
 * Inputs, per token and vocabulary entry: `teacher_logits`.
 * Config: `temperature` 1.
 *
 * Gu et al., "MiniLLM: Knowledge Distillation of Large Language Models", 2023.
 */
export const reverse_kl = defineLoss({
  name: "reverse_kl",
  inputs: { teacher_logits: "vocab" },
  config: { temperature: 1 },
  loss(policy, inputs, config) {
    const student = policy.logits / config.temperature;
    const teacher = inputs.teacher_logits / config.temperature;
    return { loss: sum(softmax(student) * (logSoftmax(student) - logSoftmax(teacher)), "vocab"), metrics: policyMetrics(policy) };
  },
});
