/** Curves as SVG, drawn by Vega. */
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import type { Record } from "./record.js";

export const COLOURS = {
  ink: "#22303c",
  faint: "#8a97a3",
  grid: "#e6eaee",
  sea: "#1b6f8c",
  amber: "#d9822b",
  brick: "#b3402f",
  moss: "#4f7f3a",
};

const WIDTH = 620;
const HEIGHT = 230;

const LOOK = {
  background: "transparent",
  font: "ui-sans-serif, system-ui, sans-serif",
  view: { stroke: null },
  axis: {
    domainColor: COLOURS.faint,
    tickColor: COLOURS.faint,
    gridColor: COLOURS.grid,
    labelColor: COLOURS.ink,
    titleColor: COLOURS.ink,
    titleFontWeight: "normal",
    labelFontSize: 11,
    titleFontSize: 12,
    titlePadding: 10,
  },
  legend: {
    orient: "top",
    title: null,
    labelFontSize: 12,
    labelLimit: 0,
    labelColor: COLOURS.ink,
    symbolType: "stroke",
    symbolStrokeWidth: 3,
    padding: 0,
    offset: 8,
  },
} as const satisfies TopLevelSpec["config"];

/** One line of a chart: its name, its colour and its points. */
interface Series {
  readonly name: string;
  readonly colour: string;
  readonly points: readonly { readonly x: number; readonly y: number; readonly low?: number; readonly high?: number }[];
  readonly width?: number;
  readonly dashed?: boolean;
  readonly opacity?: number;
}

interface Chart {
  readonly x: string;
  readonly y: string;
  readonly series: readonly Series[];
  readonly log?: boolean;
}

async function draw({ x, y, series, log = false }: Chart): Promise<string> {
  const names = series.map(({ name }) => name);
  const colours = series.map(({ colour }) => colour);
  const spec: TopLevelSpec = {
    width: WIDTH,
    height: HEIGHT,
    config: LOOK,
    layer: series.map(({ name, colour, points, width = 2, dashed = false, opacity = 1 }) => ({
      data: { values: points.map((point) => ({ ...point, name })) },
      encoding: {
        x: {
          field: "x",
          type: "quantitative",
          title: x,
          scale: { nice: false, zero: false },
          axis: { grid: false, tickCount: 6 },
        },
        color: {
          field: "name",
          type: "nominal",
          scale: { domain: names, range: colours },
          ...(names.length === 1 && { legend: null }),
        },
      },
      layer: [
        ...(points.some(({ low }) => low !== undefined)
          ? [
              {
                mark: { type: "area" as const, opacity: 0.14, color: colour },
                encoding: { y: { field: "low", type: "quantitative" as const }, y2: { field: "high" } },
              },
            ]
          : []),
        {
          mark: { type: "line" as const, strokeWidth: width, opacity, ...(dashed && { strokeDash: [5, 4] }) },
          encoding: {
            y: {
              field: "y",
              type: "quantitative" as const,
              title: y,
              scale: log ? { type: "log" as const } : { zero: false },
              axis: { tickCount: 5 },
            },
          },
        },
      ],
    })),
  };
  const view = new View(parse(compile(spec).spec), { renderer: "none" });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

/** The chart of the model's loss on the book, beside the baseline. */
export function lossChart({ curves, bigram }: Record): Promise<string> {
  const last = curves.loss.at(-1)?.step ?? 1;
  return draw({
    x: "step",
    y: "nats per character",
    series: [
      {
        name: "batch",
        colour: "#9cc4d2",
        points: smoothed(curves.loss.map(({ step, loss }) => ({ x: step, y: loss }))),
        width: 1.2,
      },
      {
        name: "held-out text",
        colour: COLOURS.sea,
        points: curves.heldOut.map(({ step, loss }) => ({ x: step, y: loss })),
        width: 2.5,
      },
      {
        name: "bigram table, held-out text",
        colour: COLOURS.brick,
        points: [
          { x: 1, y: bigram },
          { x: last, y: bigram },
        ],
        dashed: true,
        width: 1.5,
      },
    ],
  });
}

export function rewardChart({ curves }: Record): Promise<string> {
  const points = curves.reward.map(({ step, reward, low, high }) => ({ x: step, y: reward, low, high }));
  return draw({
    x: "batch of samples",
    y: "share of characters in words",
    series: [{ name: "mean reward", colour: COLOURS.moss, points, width: 2.5 }],
  });
}

export function ratioChart({ curves }: Record): Promise<string> {
  return draw({
    x: "step of Adam",
    y: "over sampled characters",
    series: [
      {
        name: "mean distance of the ratio from 1",
        colour: COLOURS.amber,
        points: curves.ratio.map(({ update, distance }) => ({ x: update, y: distance })),
        width: 1.5,
      },
      {
        name: "share beyond the bounds",
        colour: COLOURS.faint,
        points: curves.ratio.map(({ update, clipped }) => ({ x: update, y: clipped })),
        width: 1.5,
      },
    ],
  });
}

export function customChart({ curves }: Record): Promise<string> {
  const points = curves.custom.map(({ step, z }) => ({ x: step, y: z }));
  return draw({
    x: "step",
    y: "mean of the squared logsumexp",
    log: true,
    series: [{ name: "mean of the squared logsumexp", colour: COLOURS.amber, points, width: 2.5 }],
  });
}

/** Each point the mean of those around it, so that the trend is seen through the noise of small batches. */
function smoothed<P extends { readonly x: number; readonly y: number }>(points: readonly P[]): P[] {
  const reach = Math.max(1, Math.floor(points.length / 200));
  return points.map((point, i) => {
    const near = points.slice(Math.max(0, i - reach), i + reach + 1);
    return { ...point, y: near.reduce((total, { y }) => total + y, 0) / near.length };
  });
}
