#!/usr/bin/env node
/** The program `lossc`. */
import { Console } from "node:console";
import { run } from "./program.js";

// Results alone go to stdout, whatever a user's file prints while it runs.
globalThis.console = new Console(process.stderr, process.stderr);
// Whoever reads our output may stop early, as `head` does: no fault of anybody's.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

// The code is set rather than exited with, so that what was written still gets out.
process.exitCode = await run(process.argv.slice(2));
