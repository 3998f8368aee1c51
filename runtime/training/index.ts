/** The training client, and building blocks for its policies. */
export type { AdamOptions, AdamParameters } from "./adam.js";
export { type LossConfig, type LossFnOutput, TrainingClient, type TrainingOptions, type TrainingResult } from "./client.js";
export type { BareLoss } from "./custom.js";
export type { Datum, Numbers } from "./data.js";
export { type Parameter, ParameterSet } from "./parameters.js";
export type { PolicyBatch, PolicyHidden, PolicyLogits, PolicyOutput, PolicyState, Tensor, TrainingPolicy } from "./policy.js";
export { type MatrixProduct, slotsByToken, TrainingSteps } from "./steps.js";
export { Workspace } from "./workspace.js";
