/** The figures as bars, drawn by Vega. */
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import type { Measured } from "./measure.js";
import { linesOf } from "./report.js";

type Bars = Extract<TopLevelSpec, { vconcat: unknown }>["vconcat"][number];

const LOSSC = "#1b6f8c";
const OTHERS = "#b9c4cd";
const CEILING = "#b3402f";

/** An SVG: a bar for each contestant, its length the times that a copy of the same bytes takes; a red tick where a loss is to stay below. */
export async function chartOf(all: readonly Measured[], device: string): Promise<string> {
  const spec: TopLevelSpec = {
    title: { text: "Loss and gradient, in place", subtitle: device, anchor: "start" },
    vconcat: all.map(barsOf),
    config: { background: "white", view: { stroke: null }, axis: { labelLimit: 260, domain: false } },
  };
  return new View(parse(compile(spec).spec)).toSVG();
}

function barsOf(measured: Measured): Bars {
  const values = linesOf(measured).map((line) => ({
    ...line,
    label: `${line.timesCopy.toFixed(2)} ×`,
    who: line.own ? "lossc" : "others",
  }));
  const y = { field: "name", type: "nominal", sort: null, title: null } as const;
  // From 1/2 on: bars of a logarithmic scale need a place to begin.
  const scale = { type: "log", domainMin: 0.5 } as const;
  const x = (field: string) => ({ field, type: "quantitative", title: "times a copy of the same bytes", scale }) as const;
  const color = {
    field: "who",
    type: "nominal",
    scale: { domain: ["lossc", "others"], range: [LOSSC, OTHERS] },
    legend: null,
  } as const;
  return {
    data: { values },
    title: { text: `T ${measured.tokens} × V ${measured.vocab}, ${measured.dtype}`, anchor: "start", fontWeight: "normal" },
    width: 520,
    height: { step: 20 },
    layer: [
      { mark: { type: "bar", height: 13 }, encoding: { x: x("timesCopy"), x2: { datum: 0.5 }, y, color } },
      { mark: { type: "text", align: "left", dx: 5 }, encoding: { x: x("timesCopy"), y, text: { field: "label" } } },
      {
        transform: [{ filter: "datum.ceiling !== null" }],
        mark: { type: "tick", color: CEILING, thickness: 2 },
        encoding: { x: x("ceiling"), y },
      },
    ],
  };
}
