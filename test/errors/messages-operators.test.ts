/** Mistakes in a file whose operators are rewritten. One test per mistake: what was meant, where, and what to write instead. */
import { fileURLToPath } from "node:url";
import { mistakes } from "./fixtures/messages.loss.js";
import { compiled, explained, type Mistake, onLine } from "./messages.js";

const MISTAKES: readonly Mistake[] = (
  [
    [
      "if",
      "UNSUPPORTED_SYNTAX",
      "`if` met an expression of the loss, whose value nobody knows while the loss is traced: write condition ? a : b, which computes both and chooses element by element",
    ],
    [
      "remainder",
      "OPERATOR_ON_EXPR",
      "%, the bitwise operators, ++, -- and functions of Math that lossc does not have mean nothing on an expression of the loss: write it with + - * / **, comparisons, ? : and the functions of lossc (x += 1 for x++, floor for a remainder)",
    ],
    [
      "template",
      "OPERATOR_ON_EXPR",
      "a template or a string conversion met an expression of the loss, which has no value while the loss is traced: to see its numbers, return it among outputs, or its mean among metrics",
    ],
    [
      "truth",
      "UNSUPPORTED_SYNTAX",
      "`? :` asks whether something is true, and a number is neither true nor false: compare first, say x > 0",
    ],
    ["axis", "SPACE_MISMATCH", 'mean(): there is no axis "token"; did you mean "tokens"?'],
    [
      "next",
      "SPACE_MISMATCH",
      'sum() over "groups" was given a value in token space, which has no such axis next: write sum(x, "tokens"), or one after the other: sum(sum(sum(x, "tokens"), "sequences"), "groups")',
    ],
    [
      "back",
      "SPACE_MISMATCH",
      'mean() over "tokens" was given a value in sequence space, which has no such axis next: that axis is folded away already; write mean(x, "sequences") or leave the axis out for one scalar',
    ],
    [
      "pick",
      "SPACE_MISMATCH",
      'pick() takes a value per sequence; it was given one in token space: reduce it first, say sum(x, "tokens")',
    ],
    ["input", "INPUT_UNKNOWN", 'the loss "asks" reads the input "rewards", which it does not declare; did you mean "reward"?'],
    [
      "operator",
      "UNSUPPORTED_SYNTAX",
      "sum() takes a value and the name of an axis; in place of the axis it was given an expression in sequence space: it reduces one value; to join two, write a + b, min(a, b) or max(a, b)",
    ],
    ["helper", "INPUT_UNKNOWN", 'the policy gives no "logprob"; did you mean "logprobs"?'],
  ] as const
).map(([name, code, message]) => ({ name, code, message, call: () => compiled(mistakes[name]()) }));

explained(MISTAKES, fileURLToPath(new URL("./fixtures/messages.loss.ts", import.meta.url)), onLine);
