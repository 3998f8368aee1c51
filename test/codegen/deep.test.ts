/** Losses that are nested deeper than a stack is: what a loop over constants makes of an expression. */
import { expect, test } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import {
  add,
  atTarget,
  defineLoss,
  type Expr,
  exp,
  type LossDefinition,
  max,
  mul,
  neg,
  openDevice,
  sigmoid,
  softmax,
  square,
  sub,
  sum,
  tanh,
} from "../../index.js";
import { withoutOptimisation } from "../optimisation.js";
import { numbers, oracle } from "../runtime/oracle.js";
import { crossEntropyInputs, expectClose } from "../runtime/support.js";

withoutOptimisation();

/** Of them a C++ compiler makes machine code within seconds. */
const FEWER = 800;
const TIMES = 3000;

/** Every step uses the last. */
function loop(start: Expr, step: (x: Expr, i: number) => Expr, times = TIMES): Expr {
  let x = start;
  for (let i = 1; i <= times; i++) x = step(x, i / times);
  return x;
}

const tokens = (step: (x: Expr, i: number, advantages: Expr) => Expr, times?: number) =>
  defineLoss({
    name: "deep",
    inputs: { advantages: "token" },
    loss: (policy, { advantages }) => loop(policy.logprobs, (x, i) => step(x, i, advantages), times),
  });
const entries = (step: (x: Expr, i: number, logits: Expr) => Expr) =>
  defineLoss({
    name: "deep",
    loss: ({ logits }) =>
      sum(
        loop(logits, (x, i) => step(x, i, logits)),
        "vocab",
      ),
  });

const polynomial = (x: Expr, i: number, advantages: Expr) => add(mul(x, advantages), i);

const LOSSES: Readonly<Record<string, LossDefinition>> = {
  "a polynomial of the logprob": tokens(polynomial),
  "functions of the logprob": tokens((x) => tanh(x)),
  "a sum of exponentials": tokens((x, i, advantages) => add(x, exp(mul(i, advantages)))),
  "a polynomial of an entry": entries((x, i, logits) => sub(mul(x, logits), i)),
  "the target's of functions of an entry": defineLoss({
    name: "deep",
    loss: ({ logits }) => atTarget(loop(logits, (x, i) => add(tanh(x), i))),
  }),
  "signs of an entry": entries((x) => neg(x)),
  "functions of an entry": entries((x) => sigmoid(x)),
  "a sum of probabilities": entries((x, i, logits) => add(x, mul(i, softmax(logits)))),
  "maxima of an entry": entries((x, i, logits) => max(x, mul(i, logits))),
  "a sum of terms of an entry": entries((x, i, logits) => add(x, mul(i, mul(softmax(logits), square(sub(logits, i)))))),
};

test.each(Object.entries(LOSSES))("%s has a plan", (_, loss) => {
  expect(compilePlan({ loss, logits: "bf16" }).plan.sweeps).toBe(1);
});

test("values of deep expressions", async () => {
  const loss = tokens(polynomial, FEWER);
  const inputs = { ...crossEntropyInputs(), advantages: [0.5, -0.9, 0.99] };
  await using device = await openDevice("cpu");
  const found = await (await device.compile(loss)).forwardBackward(inputs);
  const expected = await oracle(loss, inputs);
  expectClose([found.loss], [expected.loss], 1e-5);
  expectClose(numbers(found.gradLogits), numbers(expected.gradLogits));
});
