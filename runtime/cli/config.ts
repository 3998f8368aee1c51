/** `--config`: the config of a loss on the command line. */
import type { ConfigValues } from "../devices/device.js";
import { parseJson } from "./stream.js";

/** The value of `--config`. That it is an object of known names and right values is checked by whoever uses it. */
export function parseConfig(text: string | undefined): ConfigValues | undefined {
  if (text === undefined) return undefined;
  return parseJson(text, "--config", `; write, say, --config '{"beta": 0.1}'`) as ConfigValues;
}
