/** The losses that ship with lossc. */
import type { LossDefinition } from "../dsl/index.js";
import { cispo } from "./cispo.js";
import { cross_entropy } from "./cross_entropy.js";
import { dro } from "./dro.js";
import { importance_sampling } from "./importance_sampling.js";
import { ppo } from "./ppo.js";

export { cispo, cross_entropy, dro, importance_sampling, ppo };

/** By the names under which other clients know them. */
export const builtins: Readonly<Record<string, LossDefinition>> = { cross_entropy, importance_sampling, ppo, cispo, dro };
