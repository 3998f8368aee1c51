// Programs one after the other, their output in files.
import { spawnSync } from "node:child_process";
import { accessSync, closeSync, constants, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, delimiter, join, resolve } from "node:path";

export class Steps {
  #done = [];

  /**
   * `chosen`: how the names of the steps begin that are to run; all where it is empty. `seconds`: after so many a step is ended, for a kernel that
   * hangs must not keep the others from their turn. `about` stands before the steps in the summary.
   */
  constructor(root, out, { chosen = [], seconds = 600, about = {} } = {}) {
    this.root = root;
    this.out = out;
    this.chosen = chosen;
    this.seconds = seconds;
    this.about = about;
  }

  /** The path of a program; null where there is none. */
  find(program) {
    const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
    const paths = program.includes("/") ? [resolve(this.root, program)] : folders.map((folder) => join(folder, program));
    for (const path of paths) {
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

  /** Says how many came to what; whether nothing failed. */
  finish() {
    const count = (outcome) => this.#done.filter((step) => step.outcome === outcome).length;
    const counts = ["passed", "failed", "skipped", "absent"].map((outcome) => `${count(outcome)} ${outcome}`);
    console.log(`${counts.join(", ")}: ${this.out}`);
    return count("failed") === 0;
  }

  #isChosen(name) {
    return this.chosen.length === 0 || this.chosen.some((beginning) => name.startsWith(beginning));
  }

  #start(name, [program, ...args], input) {
    if (this.find(program) === null) return { ok: false, stdout: "", seconds: 0, why: `there is no ${program}` };
    const start = performance.now();
    // The program itself writes the files, so that its output is kept when it or this script is killed.
    const files = ["out", "err"].map((end) => join(this.out, `${name}.${end}`));
    const written = files.map((file) => openSync(file, "w"));
    // `timeout` ends what the program has started, too.
    const { status, error } = spawnSync("timeout", ["--kill-after=10", `${this.seconds}`, program, ...args], {
      cwd: this.root,
      input,
      stdio: ["pipe", ...written],
    });
    for (const file of written) closeSync(file);
    const seconds = Number(((performance.now() - start) / 1000).toFixed(1));
    const [stdout] = files.map((file) => readFileSync(file, "utf8"));
    const said = files.filter((file) => statSync(file).size > 0);
    for (const file of files) if (!said.includes(file)) rmSync(file);
    const ended = seconds >= this.seconds ? `it was ended after ${seconds} s` : `it ended with status ${status}`;
    const see = said.length > 0 ? `: see ${basename(said.at(-1))}` : "";
    return { ok: status === 0 && !error, stdout, seconds, why: error?.message ?? `${ended}${see}` };
  }

  /** The summary is whole after every step. */
  #note(step) {
    this.#done.push(step);
    writeFileSync(join(this.out, "summary.json"), `${JSON.stringify({ ...this.about, steps: this.#done }, null, 2)}\n`);
    const { name, outcome, seconds, why } = step;
    console.log(`${outcome.padEnd(8)} ${name}${seconds === undefined ? "" : `, ${seconds} s`}${why ? `: ${why}` : ""}`);
  }
}
