/** Adam: its options and their defaults, and the factors that a step has. */
import { LosscError } from "../../dsl/errors.js";
import { describe } from "../inputs/numbers.js";

/** How {@link TrainingClient.optimStep} moves the weights. What is left out takes its default. */
export interface AdamOptions {
  /** Default 1e-4. */
  readonly learningRate?: number;
  /** Decay of the mean of the gradients. Default 0.9. */
  readonly beta1?: number;
  /** Decay of the mean of their squares. Default 0.95. */
  readonly beta2?: number;
  /** Added to the root of the mean of squares. Default 1e-12. */
  readonly eps?: number;
  /** Share of a weight that a learning rate of 1 would take away in each step, apart from the gradient. Default 0. */
  readonly weightDecay?: number;
  /** Greatest norm of all gradients taken together; longer ones are scaled down to it. Default 0: no limit. */
  readonly gradClipNorm?: number;
  /**
   * The response to a norm of the gathered gradients that is infinite or NaN, or whose square (after clipping) exceeds float32: an error before
   * anything changes (the default), or the step that results.
   */
  readonly nonFinite?: "error" | "propagate";
}

/** {@link AdamOptions}, checked and complete. */
export type AdamParameters = Required<AdamOptions>;

const DEFAULTS: AdamParameters = {
  learningRate: 1e-4,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-12,
  weightDecay: 0,
  gradClipNorm: 0,
  nonFinite: "error",
};

/** Fills in the defaults and refuses what no step could be taken with. */
export function adamParameters(options: AdamOptions = {}): AdamParameters {
  if (typeof options !== "object" || options === null)
    throw new LosscError(
      "CONFIG_INVALID",
      `optimStep takes an object with ${Object.keys(DEFAULTS).join(", ")}, not ${describe(options)}`,
    );
  for (const [key, value] of Object.entries(options)) {
    if (!Object.hasOwn(DEFAULTS, key)) {
      throw new LosscError("CONFIG_UNKNOWN", `optimStep knows no "${key}": it takes ${Object.keys(DEFAULTS).join(", ")}`);
    }
    if (value === undefined) continue;
    if (key === "nonFinite") {
      if (value === "error" || value === "propagate") continue;
      throw new LosscError("CONFIG_INVALID", `optimStep: nonFinite is ${describe(value)}, but must be "error" or "propagate"`);
    }
    const decays = key === "beta1" || key === "beta2";
    if (typeof value !== "number" || !Number.isFinite(value) || value < 0 || (decays && value >= 1)) {
      throw new LosscError(
        "CONFIG_INVALID",
        `optimStep: ${key} is ${describe(value)}, but must be a number ≥ 0${decays ? " and < 1" : ""}`,
      );
    }
  }
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...DEFAULTS, ...Object.fromEntries(given) };
}

/** The numbers of one step that are the same for every weight. `step` counts from 1. */
export function adamFactors(adam: AdamParameters, step: number): AdamFactors {
  return {
    decay: 1 - adam.learningRate * adam.weightDecay,
    stepSize: adam.learningRate / (1 - adam.beta1 ** step),
    squareScale: 1 / Math.sqrt(1 - adam.beta2 ** step),
  };
}

/** See {@link adamFactors}: w ← decay · w − stepSize · m / (√v · squareScale + eps). */
export interface AdamFactors {
  readonly decay: number;
  readonly stepSize: number;
  readonly squareScale: number;
}
