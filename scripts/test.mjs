// `npm test`: everything that must hold, of what is many a sample; in the order of how fast it fails. `npm run test:all` (`--all`): all of it, and
// the sanitizers. Arguments go to vitest; with any, only vitest runs.
import { spawnSync } from "node:child_process";

const all = process.argv[2] === "--all";
const chosen = process.argv.slice(all ? 3 : 2);
const env = { ...process.env, ...(all && { LOSSC_TESTS: "all" }) };

const vitest = ["npx", "vitest", "run", ...chosen];
const before = [
  ["npx", "biome", "ci", "--error-on-warnings", "."],
  ["npx", "tsc", "-p", "tsconfig.json"],
  ["node", "scripts/build.mjs"],
  ...(all ? [["bash", "scripts/sanitize.sh"]] : []),
];

for (const [command, ...parameters] of chosen.length > 0 ? [vitest] : [...before, vitest]) {
  console.error(`\n> ${command} ${parameters.join(" ")}`);
  const { status } = spawnSync(command, parameters, { stdio: "inherit", env });
  if (status !== 0) process.exit(status ?? 1);
}
