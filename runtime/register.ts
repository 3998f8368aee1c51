/**
 * `node --import lossc/register main.js`: operators of every `*.loss.ts` (or `.mts`, `.js`, `.mjs`) that the program imports are rewritten. Other
 * TypeScript is left to Node and to other registered hooks, and translated where none of them takes it.
 */
import nodeModule from "node:module";
// Before anything of this file runs: see below.
import "../index.js";
import * as hooks from "./modules/register-hooks.js";

/** Newer Node has hooks in the same thread and takes `register` away; the types are of the oldest Node that we support. */
const { registerHooks } = nodeModule as { registerHooks?: (functions: typeof hooks) => unknown };

// Positions of mistakes are read from stacks, and are to name the user's line. What was loaded before keeps its own places on the stack: lossc looks
// for itself there, to separate its frames from the user's. It is not awaited here, for `require` takes no module that awaits.
process.setSourceMapsEnabled(true);
if (registerHooks !== undefined) registerHooks({ resolve: hooks.resolve, load: hooks.load });
else nodeModule.register("./modules/register-hooks.js", import.meta.url);
