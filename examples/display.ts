/** Shows how a part of the run gets on: a bar on a terminal, plain lines elsewhere. Everything goes to stderr. */
import { Presets, SingleBar } from "cli-progress";
import type { PartOfRun, StepReport } from "./run.js";

/** Between two plain lines. */
const LINE_MS = 5000;

export class Display {
  readonly #bar: SingleBar | null;
  readonly #started = Date.now();
  #lastLine = 0;
  #tokens = 0;
  #done: number;
  #fields: { [name: string]: string } = { speed: "–", loss: "–", reward: "–" };

  constructor(
    private readonly part: PartOfRun,
    done: number,
  ) {
    this.#done = done;
    if (!process.stderr.isTTY) {
      this.#bar = null;
      return;
    }
    const format = `${part.title.padEnd(26)} {bar} {value}/{total} · {speed} tokens/s · loss {loss} · reward {reward} · {eta_formatted}`;
    // The run stops by itself at Ctrl-C, after it has saved: the bar must not end the process.
    this.#bar = new SingleBar(
      { format, stream: process.stderr, gracefulExit: false, hideCursor: true, barsize: 24 },
      Presets.shades_classic,
    );
    this.#bar.start(part.steps, done, this.#fields);
  }

  update(report: StepReport): void {
    this.#done++;
    this.#tokens += report.tokens;
    const speed = Math.round(this.#tokens / Math.max(1e-3, (Date.now() - this.#started) / 1000));
    this.#fields = { speed: speed.toLocaleString("en"), loss: shown(report.loss), reward: shown(report.reward) };
    this.#bar?.update(this.#done, this.#fields);
    if (!this.#bar && Date.now() - this.#lastLine > LINE_MS) this.#line();
  }

  stop(): void {
    this.#bar?.stop();
    if (!this.#bar) this.#line();
  }

  #line(): void {
    this.#lastLine = Date.now();
    const { speed, loss, reward } = this.#fields;
    process.stderr.write(
      `${this.part.title}: ${this.#done}/${this.part.steps} · ${speed} tokens/s · loss ${loss} · reward ${reward}\n`,
    );
  }
}

function shown(value: number | undefined): string {
  return value === undefined ? "–" : value.toFixed(3);
}
