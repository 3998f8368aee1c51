/** Functions of rows (vocab space: one value per token and vocabulary entry) and of groups. */
import { LosscError } from "./errors.js";
import { describe, type Expr, type Expression, type Num, toAuthor, toExpression } from "./expression.js";
import * as ops from "./ops/index.js";
import * as policy from "./policy.js";
import { callerPosition } from "./position.js";
import { isPerEntry } from "./spaces.js";

function ofRow(name: string, given: Num, build: (x: Expression) => Expression): Expr {
  const x = toExpression(given, `${name}()`);
  if (x.space === "vocab") return toAuthor(build(x));
  throw new LosscError(
    "SPACE_MISMATCH",
    `${name}() takes a value in vocab space, say policy.logits; it was given one in ${x.space} space`,
    {
      position: callerPosition(),
    },
  );
}

/** exp x / Σ exp x over each token's row; an entry that is not there has 0. Vocab space. */
export const softmax = (x: Num): Expr => ofRow("softmax", x, ops.softmax);
/** x − log Σ exp x over each token's row. Vocab space. */
export const logSoftmax = (x: Num): Expr => ofRow("logSoftmax", x, ops.logSoftmax);
/** The entry of x at each token's target. Token space. */
export function atTarget(given: Num): Expr {
  const x = toExpression(given, "atTarget()");
  return isPerEntry(x.space) ? toAuthor(policy.atTarget(x)) : ofRow("atTarget", given, policy.atTarget);
}

/** The number of each entry within its row, from 0: of a vocabulary, the id of the token. Entry space; no gradient passes. */
export function index(axis: "vocab"): Expr {
  if (axis === "vocab") return toAuthor(ops.indexOfEntry);
  throw new LosscError(
    "SPACE_MISMATCH",
    `index() numbers the entries of the axis "vocab"; it was given ${typeof axis === "string" ? `"${axis}"` : describe(axis)}`,
    {
      position: callerPosition(),
    },
  );
}

/**
 * The i-th sequence of each group, counted from 0; masked sequences count. Group space. A group that has no i-th sequence is `INPUT_LENGTH`; one
 * whose i-th sequence is wholly masked contributes 0.
 */
export function pick(given: Num, axis: "sequences", i: number): Expr {
  const x = toExpression(given, "pick()");
  const refuse = (code: "SPACE_MISMATCH" | "UNSUPPORTED_SYNTAX", message: string) =>
    new LosscError(code, message, { position: callerPosition() });
  if (axis !== "sequences")
    throw refuse(
      "SPACE_MISMATCH",
      `pick() takes from the axis "sequences", as in pick(x, "sequences", 0); it was given ${typeof axis === "string" ? `"${axis as string}"` : describe(axis)}`,
    );
  if (x.space !== "sequence") {
    const way = x.space === "token" ? ': reduce it first, say sum(x, "tokens")' : "";
    throw refuse("SPACE_MISMATCH", `pick() takes a value per sequence; it was given one in ${x.space} space${way}`);
  }
  if (!Number.isInteger(i) || i < 0) {
    throw refuse(
      "UNSUPPORTED_SYNTAX",
      `pick() wants the number of a sequence within its group, 0, 1, 2, …; it was given ${typeof i === "number" ? i : describe(i)}`,
    );
  }
  return toAuthor(ops.pick(x, i));
}
