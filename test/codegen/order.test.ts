/** Kernel text is the key under which binaries are kept, so it must not depend on what else the process has compiled. */
import { expect, test, vi } from "vitest";
import type { LossDefinition } from "../../dsl/index.js";

/** The plans of all golden losses, compiled in an order of their names by a compiler that has seen nothing yet. */
async function plansInOrder(order: (names: string[]) => string[]): Promise<Record<string, string>> {
  vi.resetModules();
  const { compilePlan } = await import("../../codegen/compile.js");
  const { goldenLosses } = await import("./golden-losses.js");
  const plans: Record<string, string> = {};
  for (const name of order(Object.keys(goldenLosses))) {
    const { plan } = compilePlan({ loss: goldenLosses[name] as LossDefinition, logits: "bf16" });
    plans[name] = JSON.stringify(plan, null, 1);
  }
  return plans;
}

test("a plan does not depend on the losses that were compiled before it", async () => {
  const first = await plansInOrder((names) => names);
  const orders: ((names: string[]) => string[])[] = [
    (names) => names.toReversed(),
    ...[2, 5].map((n) => (names: string[]) => [...names.slice(n * 3), ...names.slice(0, n * 3).reverse()]),
  ];
  for (const order of orders) {
    const plans = await plansInOrder(order);
    for (const name of Object.keys(first)) expect(plans[name], name).toBe(first[name]);
  }
});
