// `npm run fuzz -- --seconds 60 --seed 1 --only calls,shapes --device cpu,reference`: attacks lossc through its public face with random cases.
// Each fuzzer runs in a process of its own, for its share of the seconds. What is found is printed with the seed and the command that repeats it;
// exit code 1.
import { fork } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError } from "commander";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const NAMES = ["calls", "shapes", "memory", "workers", "states"];
const DEVICES = ["cpu", "emulated", "reference"];
/** A fuzzer that says nothing for so long hangs, and not in a case, for those have limits of their own. */
const SILENCE_MS = 300_000;
const REPORT_MS = 10_000;

const whole = (least) => (text) => {
  if (!/^\d{1,10}$/.test(text) || Number(text) < least) throw new InvalidArgumentError(`It is a whole number ≥ ${least}.`);
  return Number(text);
};
const listOf = (known) => (text) => {
  const names = text.split(",");
  const strange = names.find((name) => !known.includes(name) && !(known === DEVICES && /^cuda:\d+$/.test(name)));
  if (strange !== undefined) throw new InvalidArgumentError(`There is no "${strange}"; there are ${known.join(", ")}.`);
  return names;
};
const { seconds, seed, only, device } = new Command("npm run fuzz --")
  .option("--seconds <n>", "how long, all fuzzers together, once they are loaded", whole(1), 60)
  .option("--seed <n>", "where to begin; a random one where left out", whole(0), Math.floor(Math.random() * 0x7fffffff))
  .option("--only <names>", `of ${NAMES.join(",")}`, listOf(NAMES), NAMES)
  .option("--device <names>", "of cpu,emulated,reference and cuda:N; each round is on the next", listOf(DEVICES), DEVICES)
  .parse()
  .opts();

if (!existsSync(join(root, "dist", "index.js"))) {
  console.error("fuzz: workers run what is built, and dist/ is missing; npm run build");
  process.exit(1);
}
const scratch = mkdtempSync(join(tmpdir(), "lossc-fuzz-"));
process.once("exit", () => rmSync(scratch, { recursive: true, force: true }));

/** Runs one fuzzer for so many milliseconds, which begin when it is loaded; gives its cases, its seconds, and what it found or null. */
function run(name, share) {
  const last = join(scratch, name);
  const options = { name, seed, devices: device, share, last };
  const child = fork(join(root, "scripts", "fuzz", "one.mjs"), [JSON.stringify(options)], { cwd: root });
  const began = Date.now();
  let heard = began;
  let cases = 0;
  let end = {};
  const spent = () => (Date.now() - began) / 1000;
  const progress = () => console.error(`${name}: ${cases} cases, ${(cases / spent()).toFixed(1)}/s`);
  child.on("message", (message) => {
    heard = Date.now();
    if ("cases" in message) cases = message.cases;
    else end = message;
  });
  const timer = setInterval(() => {
    progress();
    if (Date.now() - heard < share + SILENCE_MS) return;
    end = { stray: `nothing came of it for ${SILENCE_MS / 1000} s` };
    child.kill("SIGKILL");
  }, REPORT_MS);
  return new Promise((resolve) => {
    child.once("close", (code, signal) => {
      clearInterval(timer);
      progress();
      resolve({ name, cases, seconds: spent(), found: foundOf(end, last, code, signal) });
    });
  });
}

/** A finding of a fuzzer: a shrunk counterexample, or the case at which its process ended. */
function foundOf(end, last, code, signal) {
  if (end.found !== undefined) return end.found;
  const why = end.stray ?? `the process ended with ${signal ?? `exit code ${code}`}`;
  const text = existsSync(last) ? readFileSync(last, "utf8") : "";
  if (text === "") return { device: device[0], seed, failure: `${why}, before the first case` };
  const { text: at, ...round } = JSON.parse(text);
  return { ...round, failure: `${why}\nin or after the case: ${at}` };
}

const results = [];
for (const name of only) results.push(await run(name, (1000 * seconds) / only.length));
console.log(`seed ${seed}, on ${device.join(", ")}`);
for (const { name, cases, seconds: spent, found } of results) {
  console.log(`${name}: ${cases} cases in ${spent.toFixed(0)} s, ${found ? "FAILED" : "nothing found"}`);
  if (!found) continue;
  console.log(`${found.failure}\nseed ${found.seed}, on ${found.device}; to repeat it:`);
  console.log(`  npm run fuzz -- --only ${name} --device ${found.device} --seed ${found.seed} --seconds 60`);
}
process.exitCode = results.some(({ found }) => found) ? 1 : 0;
