/** The losses that ship with lossc, and the terms that they share. */
import type { LossDefinition } from "../dsl/index.js";
import { cispo } from "./cispo.loss.js";
import { cross_entropy } from "./cross_entropy.loss.js";
import { cross_entropy_z } from "./cross_entropy_z.loss.js";
import { dft } from "./dft.loss.js";
import { dpo } from "./dpo.loss.js";
import { dro } from "./dro.loss.js";
import { focal } from "./focal.loss.js";
import { forward_kl } from "./forward_kl.loss.js";
import { gmpo } from "./gmpo.loss.js";
import { grpo } from "./grpo.loss.js";
import { gspo } from "./gspo.loss.js";
import { importance_sampling } from "./importance_sampling.loss.js";
import { ipo } from "./ipo.loss.js";
import { jsd } from "./jsd.loss.js";
import { kto } from "./kto.loss.js";
import { label_smoothing } from "./label_smoothing.loss.js";
import { orpo } from "./orpo.loss.js";
import { ppo } from "./ppo.loss.js";
import { ppo_dual_clip } from "./ppo_dual_clip.loss.js";
import { ppo_entropy } from "./ppo_entropy.loss.js";
import { ppo_tis } from "./ppo_tis.loss.js";
import { reinforce } from "./reinforce.loss.js";
import { reverse_kl } from "./reverse_kl.loss.js";
import { sapo } from "./sapo.loss.js";
import { simpo } from "./simpo.loss.js";
import { unlikelihood } from "./unlikelihood.loss.js";

export * from "./terms.loss.js";
export {
  cispo,
  cross_entropy,
  cross_entropy_z,
  dft,
  dpo,
  dro,
  focal,
  forward_kl,
  gmpo,
  grpo,
  gspo,
  importance_sampling,
  ipo,
  jsd,
  kto,
  label_smoothing,
  orpo,
  ppo,
  ppo_dual_clip,
  ppo_entropy,
  ppo_tis,
  reinforce,
  reverse_kl,
  sapo,
  simpo,
  unlikelihood,
};

const shipped = {
  cross_entropy,
  importance_sampling,
  ppo,
  cispo,
  dro,
  cross_entropy_z,
  dft,
  dpo,
  focal,
  forward_kl,
  gmpo,
  grpo,
  gspo,
  ipo,
  jsd,
  kto,
  label_smoothing,
  orpo,
  ppo_dual_clip,
  ppo_entropy,
  ppo_tis,
  reinforce,
  reverse_kl,
  sapo,
  simpo,
  unlikelihood,
};

type Shipped = typeof shipped;
/** The definitions of the losses that ship, by their names. */
export interface Builtins extends Shipped {}
/** The name of a loss that ships. */
export type LossName = keyof Builtins;

/** By the names under which other clients know them. */
export const builtins: Readonly<Record<string, LossDefinition>> = shipped;
