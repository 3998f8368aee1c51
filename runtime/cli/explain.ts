/** `lossc explain`. Opens no device and needs no addon. */
import { explainLoss } from "../../codegen/explain/index.js";
import { explanationText } from "../../codegen/explain/text.js";
import type { LogitsDtype } from "../../codegen/loss-program.js";
import type { ConfigValues } from "../devices/device.js";
import { withConfig } from "../inputs/config.js";
import { findLoss } from "../modules/find.js";
import { save } from "./save.js";
import { write, writeJson } from "./stream.js";
import { drawnBy } from "./svg.js";

export interface ExplainOptions {
  readonly config?: ConfigValues;
  readonly dtype: LogitsDtype;
  readonly vocab: number;
  readonly json?: true;
  readonly svg?: string;
}

/** Prints a loss and its gradient as formulas, its kernels, and why they are needed; with `svg` draws its graph to a file as well. */
export async function explain(reference: string, { config, dtype, vocab, json, svg }: ExplainOptions): Promise<void> {
  const explanation = explainLoss(withConfig(await findLoss(reference), config), { dtype, vocab });
  if (svg !== undefined) await save("--svg", svg, await picture(explanation.dot));
  if (!json) return write(explanationText(explanation));
  await writeJson(explanation);
  await write("\n");
}

async function picture(dot: string): Promise<string> {
  const { instance } = await drawnBy(["@viz-js/viz"], () => import("@viz-js/viz"));
  return (await instance()).renderString(dot, { format: "svg", engine: "dot" });
}
