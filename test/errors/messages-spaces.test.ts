/** Mistakes in spaces, axes and operands. One test per mistake: what was meant, where, and what to write instead. */
import { fileURLToPath } from "node:url";
import { add, atTarget, clamp, defineLoss, index, mean, mul, pick, softmax, sum, where } from "../../dsl/index.js";
import { compiled, explained, inEntry, loosely, type Mistake } from "./messages.js";

const inputs = { advantages: "token", reward: "sequence" } as const;
const config = { beta: 0.1 };

const MISTAKES: readonly Mistake[] = [
  {
    name: "an axis that there is not",
    call: () => compiled(defineLoss({ name: "x", loss: (policy) => mean(policy.logprobs, loosely("token")) })),
    code: "SPACE_MISMATCH",
    message: 'mean(): there is no axis "token"; did you mean "tokens"?',
  },
  {
    name: "an axis of another library",
    call: () => compiled(defineLoss({ name: "x", loss: (policy) => mean(policy.logprobs, loosely("dimension")) })),
    code: "SPACE_MISMATCH",
    message: 'mean(): there is no axis "dimension"; the axes are vocab, tokens, sequences, groups',
  },
  {
    name: "an axis too far",
    call: () => compiled(defineLoss({ name: "x", loss: (policy) => sum(policy.logprobs, "sequences") })),
    code: "SPACE_MISMATCH",
    message:
      'sum() over "sequences" was given a value in token space, which has no such axis next: write sum(x, "tokens"), or one after the other: sum(sum(x, "tokens"), "sequences")',
  },
  {
    name: "an axis folded already",
    call: () =>
      compiled(defineLoss({ name: "x", inputs, loss: (policy, inputs) => mul(policy.logprobs, mean(inputs.reward, "tokens")) })),
    code: "SPACE_MISMATCH",
    message:
      'mean() over "tokens" was given a value in sequence space, which has no such axis next: that axis is folded away already; write mean(x, "sequences") or leave the axis out for one scalar',
  },
  {
    name: "a scalar reduced",
    call: () =>
      compiled(defineLoss({ name: "x", config, loss: (policy, _, config) => mul(policy.logprobs, sum(config.beta, "tokens")) })),
    code: "SPACE_MISMATCH",
    message:
      'sum() over "tokens" was given a value in batch space, which has no such axis next: it is one scalar already: leave the reduction out',
  },
  {
    name: "an entry's value reduced beside a sequence's",
    call: () =>
      compiled(
        defineLoss({
          name: "x",
          inputs: { ...inputs, classes: "entry" },
          loss: (policy, { reward, classes }) => mul(policy.logprobs, sum(mul(reward, classes), "vocab")),
        }),
      ),
    code: "SPACE_MISMATCH",
    message:
      "sum() was given a value in sequence × vocab space: its entries are folded only together with a row of each token, so reduce the entry's value first, or multiply it with policy.logits",
  },
  {
    name: "an entry's value reduced over tokens",
    call: () =>
      compiled(defineLoss({ name: "x", inputs: { classes: "entry" }, loss: (_, { classes }) => sum(classes, "tokens") })),
    code: "SPACE_MISMATCH",
    message: 'sum() over "tokens" was given a value in entry space, which has no such axis next: write sum(x, "vocab")',
  },
  {
    name: "a loss of entries that no token has a part in",
    call: () => compiled(defineLoss({ name: "x", inputs: { classes: "entry" }, loss: (_, { classes }) => classes })),
    code: "SPACE_MISMATCH",
    message: 'the loss "x" lives in entry space, which says nothing of a token: write atTarget(x), or join it with policy.logits',
  },
  {
    name: "a softmax over what all rows share",
    call: () =>
      compiled(defineLoss({ name: "x", inputs: { classes: "entry" }, loss: (_, { classes }) => atTarget(softmax(classes)) })),
    code: "SPACE_MISMATCH",
    message: "softmax() takes a value in vocab space, say policy.logits; it was given one in entry space",
  },
  {
    name: "an index of what is no entry",
    call: () => compiled(defineLoss({ name: "x", loss: (policy) => mul(policy.logprobs, index(loosely("tokens"))) })),
    code: "SPACE_MISMATCH",
    message: 'index() numbers the entries of the axis "vocab"; it was given "tokens"',
  },
  {
    name: "a reduction of two values",
    call: () =>
      compiled(defineLoss({ name: "x", inputs, loss: (policy, inputs) => sum(policy.logprobs, loosely(inputs.advantages)) })),
    code: "UNSUPPORTED_SYNTAX",
    message:
      "sum() takes a value and the name of an axis; in place of the axis it was given an expression in token space: it reduces one value; to join two, write a + b, min(a, b) or max(a, b)",
  },
  {
    name: "tokens picked",
    call: () => compiled(defineLoss({ name: "x", loss: (policy) => pick(policy.logprobs, "sequences", 0) })),
    code: "SPACE_MISMATCH",
    message: 'pick() takes a value per sequence; it was given one in token space: reduce it first, say sum(x, "tokens")',
  },
  {
    name: "picked along another axis",
    call: () => compiled(defineLoss({ name: "x", loss: (policy) => pick(sum(policy.logprobs, "tokens"), loosely("groups"), 0) })),
    code: "SPACE_MISMATCH",
    message: 'pick() takes from the axis "sequences", as in pick(x, "sequences", 0); it was given "groups"',
  },
  {
    name: "picked by an expression",
    call: () =>
      compiled(
        defineLoss({
          name: "x",
          config,
          loss: (policy, _, config) => pick(sum(policy.logprobs, "tokens"), "sequences", config.beta),
        }),
      ),
    code: "UNSUPPORTED_SYNTAX",
    message: "pick() wants the number of a sequence within its group, 0, 1, 2, …; it was given an expression in batch space",
  },
  {
    name: "the softmax of tokens",
    call: () => compiled(defineLoss({ name: "x", loss: (policy) => softmax(policy.logprobs) })),
    code: "SPACE_MISMATCH",
    message: "softmax() takes a value in vocab space, say policy.logits; it was given one in token space",
  },
  {
    name: "the target of tokens",
    call: () => compiled(defineLoss({ name: "x", loss: (policy) => atTarget(policy.logsumexp) })),
    code: "SPACE_MISMATCH",
    message: "atTarget() takes a value in vocab space, say policy.logits; it was given one in token space",
  },
  {
    name: "a number where a mask is wanted",
    call: () =>
      compiled(defineLoss({ name: "x", inputs, loss: (policy, inputs) => where(inputs.advantages, policy.logprobs, 0) })),
    code: "UNSUPPORTED_SYNTAX",
    message:
      "where() asks whether something is true, and a number is neither true nor false: compare first, say gt(x, 0) (x > 0 in a *.loss.ts)",
  },
  {
    name: "an operand left out",
    call: () => compiled(defineLoss({ name: "x", loss: (policy) => (clamp as (...x: number[]) => number)(policy.logprobs, 0) })),
    code: "UNSUPPORTED_SYNTAX",
    message: "clamp() takes 3 operands; it was given 2",
  },
  {
    name: "an operand that is nothing",
    call: () => compiled(defineLoss({ name: "x", loss: (policy) => add(policy.logprobs, loosely(undefined)) })),
    code: "UNSUPPORTED_SYNTAX",
    message: "add() takes numbers and expressions; it was given undefined (is the name of the input spelt right?)",
  },
];

explained(MISTAKES, fileURLToPath(import.meta.url), inEntry);
