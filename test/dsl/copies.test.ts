/** Two copies of lossc in one process: the sources, and what is built of them. */
import { expect, test } from "vitest";
import { defineLoss, type Expr, exp, type LossDefinition } from "../../dsl/index.js";
import { trace } from "../../dsl/trace.js";
import { openDevice } from "../../runtime/index.js";

const other = (await import(new URL("../../dist/dsl/index.js", import.meta.url).href)) as typeof import("../../dsl/index.js");
const OPTIONS = { from: "logits", statics: {} } as const;
const STRANGER = /another copy of lossc in this process .*: let there be one; `npm ls lossc` lists/;

/** An expression of the other copy. */
const theirs: Expr = other.exp(1);

test("an expression of another copy is called an object", () => {
  expect(theirs).not.toBeTypeOf("number");
  const refused = (loss: () => unknown, message: RegExp) => {
    const definition = defineLoss({ name: "mixed", loss: () => loss() as number });
    expect(() => trace(definition, OPTIONS)).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED_SYNTAX", message: expect.stringMatching(message) }),
    );
    expect(() => trace(definition, OPTIONS)).toThrow(STRANGER);
  };
  refused(() => exp(theirs), /^exp\(\) takes numbers and expressions; it was given what another copy/);
  refused(() => theirs, /^the loss "mixed" returned what another copy/);
  refused(() => ({ loss: 1, metrics: { m: theirs } }), /returned what another copy .* as its metrics\.m/);
});

test("a loss of another copy is called an object", async () => {
  const loss = other.defineLoss({ name: "theirs", loss: (policy) => policy.logprobs }) as unknown as LossDefinition;
  const device = await openDevice("reference");
  await expect(device.compile(loss)).rejects.toThrow(STRANGER);
  await expect(device.compile({ name: "x" } as unknown as LossDefinition)).rejects.toThrow("was given an object; give a loss");
});
