/** How long each part of the run takes, and how large everything is. */
export interface Settings {
  readonly seed: number;
  readonly model: { readonly context: number; readonly width: number; readonly hidden: number };
  readonly supervised: Batches & { readonly learningRate: number };
  readonly reinforcement: {
    readonly steps: number;
    readonly prompts: number;
    /** Samples of each prompt; a sample is good or bad beside the others of its prompt. */
    readonly group: number;
    readonly length: number;
    /** Steps of Adam on each batch of samples, each on another part of it. */
    readonly minibatches: number;
    /** How often the whole batch is gone through. */
    readonly epochs: number;
    readonly learningRate: number;
  };
  readonly custom: Batches & { readonly learningRate: number; readonly zCoefficient: number };
  readonly evaluation: {
    /** Held-out windows for the curve; the figures at the end of a part take the whole held-out text. */
    readonly windows: number;
    readonly every: number;
    readonly prompts: number;
    /** Part of the held-out text that the figures take, 1 for all. */
    readonly share: number;
  };
}

interface Batches {
  readonly steps: number;
  /** Pieces of text in a batch. */
  readonly windows: number;
  /** Characters of each. */
  readonly length: number;
}

/** Characters of the text before the sampled part. */
export const PROMPT = 24;
/** Characters of a held-out piece. */
export const HELD_OUT_WINDOW = 256;

export const FULL: Settings = {
  seed: 1851,
  model: { context: 10, width: 20, hidden: 320 },
  supervised: { steps: 1200, windows: 32, length: 64, learningRate: 4e-3 },
  reinforcement: { steps: 24, prompts: 12, group: 8, length: 48, minibatches: 4, epochs: 1, learningRate: 1e-3 },
  custom: { steps: 60, windows: 32, length: 64, learningRate: 1e-3, zCoefficient: 0.01 },
  evaluation: { windows: 32, every: 100, prompts: 128, share: 1 },
};

/** Everything once, in a few seconds: for tests. */
export const QUICK: Settings = {
  seed: 1851,
  model: { context: 6, width: 16, hidden: 96 },
  supervised: { steps: 150, windows: 32, length: 64, learningRate: 1e-2 },
  reinforcement: { steps: 8, prompts: 8, group: 8, length: 32, minibatches: 4, epochs: 1, learningRate: 3e-3 },
  custom: { steps: 8, windows: 16, length: 64, learningRate: 2e-3, zCoefficient: 0.01 },
  evaluation: { windows: 8, every: 50, prompts: 64, share: 0.1 },
};
