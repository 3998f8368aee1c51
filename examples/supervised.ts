/** The first part: the model learns the book with `cross_entropy`. */
import { drawWindows, heldOutLoss, heldOutWindows, type PartOfRun } from "./run.js";
import type { Settings } from "./settings.js";

export function supervised({ supervised: { steps, windows, length, learningRate }, evaluation }: Settings): PartOfRun {
  return {
    name: "supervised",
    title: "cross_entropy on the book",
    steps,
    async step(run, index) {
      const tokens = windows * length;
      // Both calls are submitted before either has run; the client keeps their order.
      const forwardBackward = run.client.forwardBackward(drawWindows(run, windows, length), "cross_entropy");
      const optimStep = run.client.optimStep({ learningRate: learningRate * schedule(index, steps) });
      const [{ loss }] = await Promise.all([forwardBackward, optimStep]);
      const { curves } = run.record;
      curves.loss.push({ step: index + 1, loss });
      if ((index + 1) % evaluation.every === 0) {
        curves.heldOut.push({ step: index + 1, loss: await heldOutLoss(run, heldOutWindows(run.book, evaluation.windows)) });
      }
      return { tokens, loss };
    },
  };
}

/** Up over the first steps, then down in a straight line to a twentieth. */
function schedule(index: number, steps: number): number {
  return Math.min(1, (index + 1) / 30) * (1 - (0.95 * index) / steps);
}
