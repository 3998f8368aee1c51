/** The losses that ship, by the names that callers give. */
import { LosscError } from "../../dsl/errors.js";
import type { LossDefinition } from "../../dsl/index.js";
import { nearest } from "../../dsl/nearest.js";
import { builtins } from "../../losses/index.js";

/** The loss that ships under this name. `LOSS_UNKNOWN` where there is none; `others` then says where losses of one's own come from. */
export function builtinLoss(name: string, others: string): LossDefinition {
  const found = Object.hasOwn(builtins, name) ? builtins[name] : undefined;
  if (found !== undefined) return found;
  const names = Object.keys(builtins);
  const meant = nearest(name, names) || ":";
  throw new LosscError(
    "LOSS_UNKNOWN",
    `there is no loss ${JSON.stringify(name)}${meant} lossc brings ${names.join(", ")}; ${others}`,
  );
}
