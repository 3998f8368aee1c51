/** The third part: a few steps on the book with a loss of one's own. */
import { drawWindows, type PartOfRun } from "./run.js";
import type { Settings } from "./settings.js";
import { zLoss } from "./z-loss.js";

export function custom({ custom: { steps, windows, length, learningRate, zCoefficient } }: Settings): PartOfRun {
  return {
    name: "custom",
    title: "a loss of one's own",
    steps,
    async step(run, index) {
      const tokens = windows * length;
      const calls = [
        run.client.forwardBackwardCustom(drawWindows(run, windows, length), zLoss, { z_coefficient: zCoefficient }),
        run.client.optimStep({ learningRate }),
      ] as const;
      const [{ loss, metrics }] = await Promise.all(calls);
      run.record.curves.custom.push({ step: index + 1, z: metrics.z as number, crossEntropy: metrics.cross_entropy as number });
      return { tokens, loss };
    },
  };
}
