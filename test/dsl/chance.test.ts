/** Chance and the clock while a loss is traced. */
import { describe, expect, test } from "vitest";
import { withoutChance } from "../../dsl/chance.js";
import { defineLoss, mul } from "../../dsl/index.js";
import { trace } from "../../dsl/trace.js";

const OPTIONS = { from: "logits", statics: {} } as const;
const traced = (loss: () => number) =>
  trace(defineLoss({ name: "chancy", loss: (policy) => mul(loss(), policy.logprobs) }), OPTIONS);

describe("while a loss is traced", () => {
  test.each<[string, () => number]>([
    ["Math.random()", () => Math.random()],
    ["Date.now()", () => Date.now()],
    ["new Date()", () => new Date().getDay()],
    ["Date()", () => Date().length],
    ["performance.now()", () => performance.now()],
    ["crypto.getRandomValues()", () => crypto.getRandomValues(new Uint8Array(1))[0] as number],
    ["crypto.randomUUID()", () => crypto.randomUUID().length],
  ])("%s is frozen in the kernels", (call, loss) => {
    expect(() => traced(loss)).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED_SYNTAX", message: expect.stringContaining(`${call} gives one number`) }),
    );
    expect(() => traced(loss)).toThrow(
      expect.objectContaining({ position: expect.objectContaining({ file: import.meta.filename }) }),
    );
  });

  test("a metric that is a function is free of it", () => {
    const loss = defineLoss({
      name: "x",
      loss: (policy) => ({ loss: policy.logprobs, metrics: { lucky: () => Math.random() } }),
    });
    expect(() => trace(loss, { ...OPTIONS, metrics: ["lucky"] })).toThrow(/Math\.random\(\) gives one number/);
  });

  test("a date that is given, and what is no chance, is refused", () => {
    expect(() =>
      traced(() => new Date(5).getTime() + Date.UTC(2000) + (new Date(5) instanceof Date ? Math.max(1, 2) : Number.NaN)),
    ).not.toThrow();
    class Day extends Date {}
    expect(() => traced(() => new Day(7).getTime())).not.toThrow();
  });
});

test("afterwards, and after a loss that throws, all is not as it was", () => {
  const before = () =>
    [Math, globalThis, performance].map((holder, i) =>
      Object.getOwnPropertyDescriptor(holder, ["random", "Date", "now"][i] as string),
    );
  const found = [...before(), Object.getOwnPropertyDescriptor(globalThis, "crypto")];
  withoutChance(() => withoutChance(() => 1));
  expect(() => traced(() => Math.random())).toThrow();
  expect([...before(), Object.getOwnPropertyDescriptor(globalThis, "crypto")]).toEqual(found);
  expect(Math.random()).toBeLessThan(1);
});
