/** `--config`: the config of a loss on the command line. */
import type { ConfigValues } from "../devices/device.js";
import { usage } from "./usage.js";

/** The value of `--config`. That it is an object of known names and right values is checked by whoever uses it. */
export function parseConfig(text: string | undefined): ConfigValues | undefined {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as ConfigValues;
  } catch (error) {
    throw usage(`--config is no JSON: ${(error as Error).message}; write, say, --config '{"beta": 0.1}'`, error);
  }
}
