/** `--config`: the config of a loss on the command line. */
import type { ConfigValues } from "../devices/device.js";
import { isRecord } from "./case.js";
import { parseJson } from "./stream.js";
import { usage } from "./usage.js";

const EXAMPLES = `; write, say, --config beta=0.1,kind=squared or --config '{"beta": 0.1, "kind": "squared"}'`;

/**
 * The value of `--config`, a JSON object or NAME=VALUE with commas between; of an option that is given again the later values hold. The
 * commands that use it check names and values.
 */
export function parseConfig(text: string, before?: ConfigValues): ConfigValues {
  const given = /^\s*[^\s"{}[\]=]+\s*=/.test(text) ? assignments(text) : parseJson(text, "--config", EXAMPLES);
  // A value that is no object is passed on: the check that refuses it names the loss.
  return isRecord(before) && isRecord(given) ? ({ ...before, ...given } as ConfigValues) : (given as ConfigValues);
}

function assignments(text: string): Record<string, unknown> {
  const values = text.split(",").map((one) => {
    const split = one.indexOf("=");
    const [name, value] = [one.slice(0, split).trim(), one.slice(split + 1).trim()];
    if (split < 0 || name === "" || value === "")
      throw usage(`--config has ${JSON.stringify(one)}, which is no NAME=VALUE${EXAMPLES}`);
    return [name, valueOf(value)] as const;
  });
  return Object.fromEntries(values);
}

/** A number, a truth value or a text in quotes as JSON has it; any other text as it is. */
function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // JSON has no .5 and no 1.
    return Number.isFinite(Number(text)) ? Number(text) : text;
  }
}
