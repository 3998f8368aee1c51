import { defineLoss, logSoftmax, softmax, sum } from "../dsl/index.js";
import { policyMetrics } from "./metrics.loss.js";

/**
 * Distillation that covers the teacher, per token: Σ t·(log t − log s), s and t the softmax of the student's and the teacher's logits over
 * temperature.
 *
 * Inputs, per token and vocabulary entry: `teacher_logits`.
 * Config: `temperature` 1.
 *
 * Hinton et al., "Distilling the Knowledge in a Neural Network", 2015.
 */
export const forward_kl = defineLoss({
  name: "forward_kl",
  inputs: { teacher_logits: "vocab" },
  config: { temperature: 1 },
  loss(policy, inputs, config) {
    const student = policy.logits / config.temperature;
    const teacher = inputs.teacher_logits / config.temperature;
    return { loss: sum(softmax(teacher) * (logSoftmax(teacher) - logSoftmax(student)), "vocab"), metrics: policyMetrics(policy) };
  },
});
