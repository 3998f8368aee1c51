/** The suite's last lines, for people and programs: whether it was a sample, and how many tests passed, failed and were skipped. */
import type { Reporter, TestModule } from "vitest/node";
import { ALL, SEED } from "./sample.js";

export default class Summary implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    let broken = 0; // files that did not even load
    for (const module of modules) {
      if (module.errors().length > 0) broken++;
      for (const test of module.children.allTests()) counts[test.result().state]++;
    }
    const { passed, failed, skipped, pending } = counts;
    // After the default reporter's own summary.
    process.once("exit", () => {
      if (!ALL) console.log(`a sample, LOSSC_SEED=${SEED}; npm run test:all takes everything`);
      console.log(`${passed} passed, ${failed + broken} failed, ${skipped + pending} skipped`);
    });
  }
}
