/** Checking config: known names, finite numbers, and which of them specialise the loss. */
import { redefined } from "../../dsl/definitions.js";
import { LosscError } from "../../dsl/errors.js";
import type { LossDefinition } from "../../dsl/index.js";
import { nearest } from "../../dsl/nearest.js";
import type { ConfigValues } from "../devices/device.js";
import { describe } from "./numbers.js";

export interface CheckedConfig {
  /** Runtime scalars, complete. */
  readonly scalars: Readonly<Record<string, number>>;
  /** Compile-time constants, complete. */
  readonly statics: Readonly<Record<string, number | string | boolean>>;
  /** Key of the constants: configs with different keys are compiled separately. */
  readonly staticsKey: string;
}

/** The loss's defaults, overridden by each of `layers` in turn. `CONFIG_UNKNOWN`, `CONFIG_INVALID`. */
export function checkConfig(loss: LossDefinition, ...layers: readonly (ConfigValues | undefined)[]): CheckedConfig {
  // Names are the user's: "__proto__" is one like any other.
  const scalars: Record<string, number> = Object.create(null);
  const statics: Record<string, number | string | boolean> = Object.create(null);
  for (const [name, declared] of Object.entries(loss.config)) {
    if (declared.kind === "scalar") scalars[name] = declared.value;
    else statics[name] = declared.value;
  }
  for (const layer of layers) {
    if (layer === undefined) continue;
    if (typeof layer !== "object" || layer === null || Array.isArray(layer) || layer instanceof Map) {
      throw new LosscError(
        "CONFIG_INVALID",
        `the config of "${loss.name}" is ${describe(layer)}; give an object of names and values`,
      );
    }
    for (const [name, value] of Object.entries(layer)) {
      if (value !== undefined) put(loss, name, value, scalars, statics);
    }
  }
  return { scalars, statics, staticsKey: JSON.stringify(statics) };
}

/** The loss with other defaults. `CONFIG_UNKNOWN`, `CONFIG_INVALID`. */
export function withConfig(loss: LossDefinition, values: ConfigValues | undefined): LossDefinition {
  const { scalars, statics } = checkConfig(loss, values);
  const config = Object.entries(loss.config).map(
    ([name, declared]) => [name, { ...declared, value: (declared.kind === "scalar" ? scalars : statics)[name] }] as const,
  );
  return redefined(loss, { config: Object.fromEntries(config) } as Pick<LossDefinition, "config">);
}

function put(
  loss: LossDefinition,
  name: string,
  value: unknown,
  scalars: Record<string, number>,
  statics: Record<string, number | string | boolean>,
): void {
  const declared = Object.hasOwn(loss.config, name) ? loss.config[name] : undefined;
  if (!declared) {
    const names = Object.keys(loss.config);
    const known = names.length > 0 ? `; its config is ${names.join(", ")}` : "; it has no config";
    throw new LosscError("CONFIG_UNKNOWN", `the loss "${loss.name}" has no config "${name}"${nearest(name, names) || known}`);
  }
  const wanted = typeof declared.value;
  if (typeof value !== wanted) throw invalid(loss, name, value, wanted === "number" ? "a finite number" : `a ${wanted}`);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw invalid(loss, name, value, "a finite number");
    if (declared.kind === "scalar") {
      scalars[name] = value;
      return;
    }
  }
  statics[name] = value as number | string | boolean;
}

function invalid(loss: LossDefinition, name: string, value: unknown, wanted: string): LosscError {
  return new LosscError("CONFIG_INVALID", `the config "${name}" of "${loss.name}" is ${describe(value)}; it must be ${wanted}`);
}
