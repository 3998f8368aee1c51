// Programs one after the other, their output in files.
import { spawnSync } from "node:child_process";
import { accessSync, constants, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";

export class Steps {
  #done = [];

  /** `chosen`: how the names of the steps begin that are to run; all where it is empty. */
  constructor(root, out, chosen = []) {
    this.root = root;
    this.out = out;
    this.chosen = chosen;
  }

  /** The path of a program; null where there is none. */
  find(program) {
    for (const folder of (process.env.PATH ?? "").split(delimiter).filter(Boolean)) {
      const path = join(folder, program);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // In another folder, then.
      }
    }
    return null;
  }

  /** A step that must work; skipped where `unless` says why. `problem` says what is wrong with its output, if something is. */
  run(name, command, { unless = null, stdin = "", problem = () => null } = {}) {
    if (!this.#isChosen(name)) return { ok: false, stdout: "" };
    if (unless !== null) {
      this.#note({ name, outcome: "skipped", why: unless });
      return { ok: false, stdout: "" };
    }
    const { stdout, seconds, ...ended } = this.#start(name, command, stdin);
    const why = ended.ok ? problem(stdout) : ended.why;
    const ok = why === null;
    this.#note({ name, outcome: ok ? "passed" : "failed", seconds, command, ...(ok ? {} : { why }) });
    return { ok, stdout };
  }

  /** A step that says something of the machine if it works. */
  optional(name, command) {
    if (!this.#isChosen(name)) return;
    const { ok, why } = this.#start(name, command, "");
    this.#note({ name, outcome: ok ? "passed" : "absent", ...(ok ? {} : { why }) });
  }

  /** Writes the summary; whether nothing failed. */
  finish(about) {
    writeFileSync(join(this.out, "summary.json"), `${JSON.stringify({ ...about, steps: this.#done }, null, 2)}\n`);
    const count = (outcome) => this.#done.filter((step) => step.outcome === outcome).length;
    const counts = ["passed", "failed", "skipped", "absent"].map((outcome) => `${count(outcome)} ${outcome}`);
    console.log(`${counts.join(", ")}: ${this.out}`);
    return count("failed") === 0;
  }

  #isChosen(name) {
    return this.chosen.length === 0 || this.chosen.some((beginning) => name.startsWith(beginning));
  }

  #start(name, [program, ...args], input) {
    const start = performance.now();
    const { status, signal, error, stdout, stderr } = spawnSync(program, args, {
      cwd: this.root,
      input,
      encoding: "utf8",
      maxBuffer: 1 << 30,
    });
    const seconds = Number(((performance.now() - start) / 1000).toFixed(1));
    if (stdout) writeFileSync(join(this.out, `${name}.out`), stdout);
    if (stderr) writeFileSync(join(this.out, `${name}.err`), stderr);
    const ended = signal ? `it was ended by ${signal}` : `it ended with status ${status}`;
    return { ok: status === 0, stdout: stdout ?? "", seconds, why: error?.message ?? `${ended}: see ${name}.err` };
  }

  #note(step) {
    this.#done.push(step);
    const { name, outcome, seconds, why } = step;
    console.log(`${outcome.padEnd(8)} ${name}${seconds === undefined ? "" : `, ${seconds} s`}${why ? `: ${why}` : ""}`);
  }
}
