/** Everything that is checked of hidden states and a head before anything is launched. */
import type { LogitsDtype } from "../../codegen/loss-program.js";
import { LosscError } from "../../dsl/errors.js";
import { isLogitsDtype } from "../devices/dtypes.js";
import { describe, floatSource, type Source } from "../inputs/numbers.js";

/** Hidden states and a head that fit together: logits are their product. */
export interface CheckedHead {
  /** Token × width. */
  readonly hidden: Source;
  /** Vocabulary × width. */
  readonly head: Source;
  /** Numbers of a hidden state; 0 where a batch without tokens leaves it open. */
  readonly width: number;
  /** Entries of a row; 0 where a batch without tokens leaves it open. */
  readonly vocab: number;
}

/** `INPUT_MISSING`, `INPUT_LENGTH`, `INPUT_DTYPE`. */
export function checkHead(given: Readonly<Record<string, unknown>>, tokens: number): CheckedHead {
  for (const [name, other] of [
    ["hidden", "head"],
    ["head", "hidden"],
  ] as const) {
    if (given[name] === undefined)
      throw new LosscError("INPUT_MISSING", `${other} is given without ${name}; logits are the product of both, so give both`);
  }
  const [hidden, head] = [floatSource(given.hidden, "hidden"), floatSource(given.head, "head")];
  const width = checkWidth(given.hidden_size, hidden.length, tokens);
  if (width === 0) return { hidden, head, width, vocab: 0 };
  const vocab = head.length / width;
  if (!Number.isInteger(vocab) || vocab < 1)
    throw new LosscError(
      "INPUT_LENGTH",
      `head has ${head.length} numbers, which is no whole number of vocabulary entries of ${width} numbers each; give vocabulary × hidden_size numbers, entry after entry`,
    );
  if (given.vocab !== undefined && given.vocab !== vocab)
    throw new LosscError("INPUT_LENGTH", `vocab is ${describe(given.vocab)}, but head has ${vocab} entries of ${width} numbers`);
  if (isLogitsDtype(hidden.dtype) && isLogitsDtype(head.dtype) && hidden.dtype !== head.dtype)
    throw new LosscError(
      "INPUT_DTYPE",
      `hidden is ${hidden.dtype} and head is ${head.dtype}; a matrix product takes one dtype, so convert one of them`,
    );
  return { hidden, head, width, vocab };
}

/** The numbers of a hidden state: as given, else from how many there are. */
function checkWidth(given: unknown, numbers: number, tokens: number): number {
  if (given !== undefined && (typeof given !== "number" || !Number.isSafeInteger(given) || given < 1))
    throw new LosscError("INPUT_LENGTH", `hidden_size is ${describe(given)}; it is a whole number ≥ 1`);
  const width = given ?? (tokens > 0 ? numbers / tokens : 0);
  if (!Number.isInteger(width) || numbers !== tokens * width || (tokens > 0 && width === 0))
    throw new LosscError(
      "INPUT_LENGTH",
      given === undefined
        ? `hidden has ${numbers} numbers, which is no whole number for each of the ${tokens} tokens that lengths make; give token × hidden_size numbers, token after token`
        : `hidden has ${numbers} numbers, but lengths make ${tokens} tokens of ${width} numbers, that is ${tokens * width}`,
    );
  return width;
}

/** The memory that the gradient of the head is added to; null where new memory is made. `USAGE`, `INPUT_DTYPE`, `INPUT_LENGTH`. */
export function checkGradHead(
  value: unknown,
  checked: CheckedHead | null,
  dtypes: readonly (LogitsDtype | "f64")[],
  hostMemory: boolean,
): Source | null {
  if (value === undefined) return null;
  if (!checked)
    throw new LosscError("USAGE", "the option gradHead goes with the inputs hidden and head; leave it out, or give those");
  const source = floatSource(value, "gradHead");
  if (source.kind === "host" && !hostMemory)
    throw new LosscError(
      "INPUT_DTYPE",
      "gradHead lies in the host's memory, where this device does not reach; give a device buffer",
    );
  if ((source.kind === "host" && !source.own) || !dtypes.includes(source.dtype as LogitsDtype))
    throw new LosscError(
      "INPUT_DTYPE",
      `gradHead is ${source.kind === "host" && !source.own ? describe(value) : source.dtype}; what is added to is memory of ${dtypes.join(" or ")}: a typed array or a device buffer`,
    );
  if (source.length !== checked.head.length)
    throw new LosscError(
      "INPUT_LENGTH",
      `gradHead has ${source.length} numbers, but head has ${checked.head.length}; give as many`,
    );
  return source;
}
