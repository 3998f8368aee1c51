/** From the name of a loss, as people write it on a command line, to the loss. */
import { resolve } from "node:path";
import { framed } from "../../codegen/frame.js";
import { isLossDefinition, type LossDefinition } from "../../dsl/define-loss.js";
import { isUnmade, mistakeOf, UNMADE } from "../../dsl/definitions.js";
import { LosscError } from "../../dsl/errors.js";
import { nearest } from "../../dsl/nearest.js";

/**
 * The loss that `reference` names: one that ships with lossc, or `path/to/file.ts#export`, split at the last `#`, the path absolute or
 * relative to the working directory. `LOSS_UNKNOWN` where there is none.
 */
export async function findLoss(reference: string): Promise<LossDefinition> {
  const split = reference.lastIndexOf("#");
  return split < 0 ? builtin(reference) : exported(resolve(reference.slice(0, split)), reference.slice(split + 1));
}

async function builtin(name: string): Promise<LossDefinition> {
  const { builtinLoss } = await import("./builtin.js");
  const isPath = /[./\\]/.test(name);
  return builtinLoss(
    name,
    isPath ? `to take a loss from a file, name its export: ${name}#NAME` : "one of your own is path/to/file.ts#NAME",
  );
}

async function exported(path: string, name: string): Promise<LossDefinition> {
  const { loadModule } = await import("./load.js");
  const module = await loadModule(path);
  const value = Object.hasOwn(module, name) ? module[name] : undefined;
  if (isLossDefinition(value)) return value;
  const mistake = mistakeOf(value);
  if (mistake !== undefined) throw framed(mistake);
  const losses = Object.keys(module).filter((key) => isLossDefinition(module[key]));
  const broken = Object.keys(module).filter((key) => mistakeOf(module[key]) !== undefined);
  const wrong = value === undefined ? "has no export" : "does not make with defineLoss(...) its export";
  const copy = isUnmade(value) ? `; ${UNMADE}` : "";
  const others = losses.length === 0 ? "it exports no loss" : `the losses that it exports are ${losses.join(", ")}`;
  const bad =
    broken.length === 0 ? "" : `; the definition of ${broken.join(" and that of ")} has a mistake (name it to see the mistake)`;
  const known = nearest(name, [...losses, ...broken]) || ":";
  throw new LosscError("LOSS_UNKNOWN", `${path} ${wrong} ${JSON.stringify(name)}${known} ${others}${bad}${copy}`);
}
