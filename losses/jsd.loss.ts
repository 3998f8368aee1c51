import { defineLoss, log, logSoftmax, softmax, sum } from "../dsl/index.js";
import { policyMetrics } from "./metrics.loss.js";

/**
 * Generalised Jensen-Shannon distillation, per token, with m = beta·t + (1 − beta)·s:
 * beta·Σ t·(log t − log m) + (1 − beta)·Σ s·(log s − log m), s and t the softmax of the student's and the teacher's logits over temperature.
 *
 * Inputs, per token and vocabulary entry: `teacher_logits`.
 * Config: `beta` 0.5; `temperature` 1.
 *
 * Agarwal et al., "On-Policy Distillation of Language Models", 2023.
 */
export const jsd = defineLoss({
  name: "jsd",
  inputs: { teacher_logits: "vocab" },
  config: { beta: 0.5, temperature: 1 },
  loss(policy, inputs, config) {
    const student = policy.logits / config.temperature;
    const teacher = inputs.teacher_logits / config.temperature;
    const [s, t] = [softmax(student), softmax(teacher)];
    const m = log(config.beta * t + (1 - config.beta) * s);
    const ofTeacher = sum(t * (logSoftmax(teacher) - m), "vocab");
    const ofStudent = sum(s * (logSoftmax(student) - m), "vocab");
    return { loss: config.beta * ofTeacher + (1 - config.beta) * ofStudent, metrics: policyMetrics(policy) };
  },
});
