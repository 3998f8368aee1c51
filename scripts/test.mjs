// `npm test`: everything that must hold, in the order of how fast it fails. Arguments go to vitest; with any, only vitest runs.
import { spawnSync } from "node:child_process";

const chosen = process.argv.slice(2);
const vitest = ["npx", ["vitest", "run", ...chosen]];
const steps =
  chosen.length > 0
    ? [vitest]
    : [
        ["npx", ["biome", "ci", "--error-on-warnings", "."]],
        ["npx", ["tsc", "-p", "tsconfig.json"]],
        ["node", ["scripts/build.mjs"]],
        ["bash", ["scripts/sanitize.sh"]],
        vitest,
      ];

for (const [command, parameters] of steps) {
  console.error(`\n> ${command} ${parameters.join(" ")}`);
  const { status } = spawnSync(command, parameters, { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
