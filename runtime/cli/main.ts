#!/usr/bin/env node
/** The program `lossc`. */
import { Console } from "node:console";
import { end, takeProcess } from "./faults.js";
import { run } from "./program.js";

// A console that was used before, say by a module of --import, keeps the stdout that it found.
globalThis.console = new Console(process.stderr, process.stderr);
takeProcess();
// Not awaited here: Node would say where this module stands still when a user's file does.
run(process.argv.slice(2)).then(end);
