/**
 * Mistakes in names, operators and what a loss returns, in a file that calls the functions by name. One test per mistake: what was meant, where, and
 * what to write instead.
 */
import { fileURLToPath } from "node:url";
import { compilePlan } from "../../codegen/compile.js";
import { defineLoss, type Expr, exp, mean, mul, softmax } from "../../dsl/index.js";
import { compiled, explained, inEntry, loosely, type Mistake } from "./messages.js";

const inputs = { advantages: "token", reward: "sequence" } as const;
const config = { beta: 0.1 };

const MISTAKES: readonly Mistake[] = [
  {
    name: "an operator in a file that was not rewritten",
    call: () => compiled(defineLoss({ name: "x", inputs, loss: (policy, inputs) => policy.logprobs * inputs.advantages })),
    code: "OPERATOR_ON_EXPR",
    message:
      "a native operator met an expression of the loss, in a file whose operators are not rewritten: name the file *.loss.ts and run it with node --import lossc/register, the plugin lossc/vite or the command line, or call the function of the same meaning instead: add(a, b), sub(a, b), mul(a, b), div(a, b), pow(a, b), neg(a), lt(a, b), le(a, b), gt(a, b), ge(a, b); here: mul(…)",
  },
  {
    name: "a function of Math in a file that was not rewritten",
    call: () => compiled(defineLoss({ name: "x", loss: (policy) => Math.exp(policy.logprobs) })),
    code: "OPERATOR_ON_EXPR",
    message:
      "a native operator met an expression of the loss, in a file whose operators are not rewritten: name the file *.loss.ts and run it with node --import lossc/register, the plugin lossc/vite or the command line, or call the function of the same meaning instead: add(a, b), sub(a, b), mul(a, b), div(a, b), pow(a, b), neg(a), lt(a, b), le(a, b), gt(a, b), ge(a, b); here: exp(…) of lossc, where it has one",
  },
  {
    name: "an input misspelt",
    call: () =>
      compiled(
        defineLoss({
          name: "x",
          inputs,
          loss: (policy, inputs) => mul(policy.logprobs, loosely(inputs["advantage" as "advantages"])),
        }),
      ),
    code: "INPUT_UNKNOWN",
    message: 'the loss "x" reads the input "advantage", which it does not declare; did you mean "advantages"?',
  },
  {
    name: "an input not declared",
    call: () =>
      compiled(defineLoss({ name: "x", loss: (policy, inputs) => mul(policy.logprobs, loosely((inputs as { q: Expr }).q)) })),
    code: "INPUT_UNKNOWN",
    message:
      'the loss "x" reads the input "q", which it does not declare; declare it: inputs: { q: "token" }, or its other space',
  },
  {
    name: "weights not declared",
    call: () =>
      compiled(defineLoss({ name: "x", loss: (policy, inputs) => mul(policy.logprobs, (inputs as { weights: Expr }).weights) })),
    code: "INPUT_UNKNOWN",
    message:
      'the loss "x" reads the input "weights", which it does not declare; weights multiply every token loss already; a loss that reads them as well declares them: inputs: { weights: "token" }',
  },
  {
    name: "targets as an input",
    call: () => compiled(defineLoss({ name: "x", loss: (_, inputs) => (inputs as { target_tokens: Expr }).target_tokens })),
    code: "INPUT_UNKNOWN",
    message:
      'the loss "x" reads the input "target_tokens", which it does not declare; policy.logprobs are those of the targets already, and atTarget(x) reads the target\'s entry of a row',
  },
  {
    name: "config misspelt in the loss",
    call: () =>
      compiled(defineLoss({ name: "x", config, loss: (policy, _, config) => mul(policy.logprobs, config["betta" as "beta"]) })),
    code: "CONFIG_UNKNOWN",
    message: 'the loss "x" reads the config "betta", which it does not declare; did you mean "beta"?',
  },
  {
    name: "config not declared",
    call: () =>
      compiled(
        defineLoss({
          name: "x",
          loss: (policy, _, config) => mul(policy.logprobs, (config as { temperature: Expr }).temperature),
        }),
      ),
    code: "CONFIG_UNKNOWN",
    message:
      'the loss "x" reads the config "temperature", which it does not declare; declare it with its default: config: { temperature: 1 }',
  },
  {
    name: "something that the policy does not give",
    call: () => compiled(defineLoss({ name: "x", loss: (policy) => exp((policy as unknown as { logProbs: Expr }).logProbs) })),
    code: "INPUT_UNKNOWN",
    message: 'the policy gives no "logProbs"; did you mean "logprobs"?',
  },
  {
    name: "a missing return",
    call: () => compiled(defineLoss({ name: "x", loss: loosely(() => undefined) })),
    code: "UNSUPPORTED_SYNTAX",
    message: 'the loss "x" returned no loss: is a return missing?',
  },
  {
    name: "a part misspelt",
    call: () => compiled(defineLoss({ name: "x", loss: (policy) => loosely({ loss: policy.logprobs, metric: {} }) })),
    code: "UNSUPPORTED_SYNTAX",
    message: 'the loss "x" returned "metric"; did you mean "metrics"?',
  },
  {
    name: "a loss that is async",
    call: () => compiled(defineLoss({ name: "x", loss: loosely(async () => 0) })),
    code: "UNSUPPORTED_SYNTAX",
    message: 'the loss "x" is async: a loss is traced, and returns at once; wait for data outside of it and declare inputs',
  },
  {
    name: "a text for a loss",
    call: () => compiled(defineLoss({ name: "x", loss: () => loosely("ppo") })),
    code: "UNSUPPORTED_SYNTAX",
    message: 'the loss "x" returned a string as its loss, which takes numbers and expressions',
  },
  {
    name: "a metric per token",
    call: () => compiled(defineLoss({ name: "x", loss: (policy) => ({ loss: 0, metrics: { ratio: policy.logprobs } }) })),
    code: "SPACE_MISMATCH",
    message: 'the metric "ratio" of the loss "x" lives in token space; a metric is one scalar: write mean(x) or sum(x)',
  },
  {
    name: "an output per vocabulary entry",
    call: () => compiled(defineLoss({ name: "x", loss: (policy) => ({ loss: 0, outputs: { p: softmax(policy.logits) } }) })),
    code: "SPACE_MISMATCH",
    message:
      'the output "p" of the loss "x" lives in vocab space; outputs come back per token or per sequence: write sum(x, "vocab") or atTarget(x)',
  },
  {
    name: "an output that is one number",
    call: () => compiled(defineLoss({ name: "x", loss: (policy) => ({ loss: 0, outputs: { spread: mean(policy.logprobs) } }) })),
    code: "SPACE_MISMATCH",
    message:
      'the output "spread" of the loss "x" lives in batch space; outputs come back per token or per sequence: return it as a metric',
  },
  {
    name: "a metric that there is not",
    call: () =>
      compilePlan({
        loss: defineLoss({ name: "x", loss: (policy) => ({ loss: 0, metrics: { ratio: () => mean(policy.logprobs) } }) }),
        logits: "f32",
        metrics: ["ratios"],
      }),
    code: "USAGE",
    message: 'the loss "x" has no metric "ratios"; did you mean "ratio"?',
  },
  {
    name: "a space that is an axis",
    call: () => defineLoss({ name: "x", inputs: { reward: loosely("sequences") }, loss: (policy) => policy.logprobs }),
    code: "SPACE_MISMATCH",
    message: 'the input "reward" is declared in "sequences"; did you mean "sequence"?',
  },
  {
    name: "a declaration misspelt",
    call: () => defineLoss(loosely({ name: "x", input: {}, loss: () => 0 })),
    code: "CONFIG_UNKNOWN",
    message: 'defineLoss() knows no "input"; did you mean "inputs"?',
  },
];

explained(MISTAKES, fileURLToPath(import.meta.url), inEntry);
