/** The suite's last line, for people and programs: how many tests passed, failed and were skipped. */
import type { Reporter, TestModule } from "vitest/node";

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
    process.once("exit", () => console.log(`${passed} passed, ${failed + broken} failed, ${skipped + pending} skipped`));
  }
}
