/** Losses given as bare functions: their declaration is inferred from the data. */

import { LosscError } from "../../dsl/errors.js";
import { defineLoss, type InputDeclaration, type LossDefinition } from "../../dsl/index.js";
import { TARGET } from "../../dsl/policy.js";
import { checkData, type Datum, givenAs, isNumbers } from "./data.js";

/** A custom loss as a function alone: every key of the data's `lossFnInputs` is an input, per token if an array, per sequence if a number. */
export type BareLoss = LossDefinition["loss"];

// A function is traced once for every set of keys that it is called with, so that calling it again compiles nothing.
const known = new WeakMap<BareLoss, Map<string, LossDefinition>>();

/** The definition that a bare function stands for with these data. */
export function bareDefinition(loss: BareLoss, data: readonly Datum[]): LossDefinition {
  const spaces = inputSpaces(data);
  const signature = JSON.stringify(spaces);
  const definitions = known.get(loss) ?? new Map<string, LossDefinition>();
  known.set(loss, definitions);
  let definition = definitions.get(signature);
  if (!definition) {
    definition = defineLoss({
      name: loss.name || "custom",
      inputs: Object.fromEntries(spaces.filter(([key]) => key !== TARGET)),
      loss,
    });
    definitions.set(signature, definition);
  }
  return definition;
}

type InputSpace = Extract<InputDeclaration["space"], "token" | "sequence">;

/** Keys of the data with the space that each lives in, sorted; targets are one of them. All data must agree. */
function inputSpaces(data: readonly Datum[]): [key: string, space: InputSpace][] {
  checkData(data);
  const keys = new Set(data.flatMap((datum) => Object.keys(datum.lossFnInputs)));
  keys.add(TARGET);
  return [...keys].sort().map((key) => {
    const spaces = data.map((datum, i): InputSpace => {
      const value = givenAs(datum, key);
      if (value !== undefined) return isNumbers(value) ? "token" : "sequence";
      const owner = data.findIndex((other) => givenAs(other, key) !== undefined);
      const message = `data[${i}].lossFnInputs has no ${key}, but data[${owner}] does`;
      throw new LosscError("INPUT_MISSING", `${message}: with a bare function every datum needs the same keys`);
    });
    const odd = spaces.findIndex((space) => space !== spaces[0]);
    if (odd >= 0) {
      const kinds = spaces[odd] === "token" ? ["an array", "a number"] : ["a number", "an array"];
      throw new LosscError("INPUT_DTYPE", `data[${odd}].lossFnInputs.${key} is ${kinds[0]}, but data[0] has ${kinds[1]}`);
    }
    // Without data the declaration is unknown, and there is nothing to compute.
    return [key, spaces[0] ?? "token"];
  });
}
