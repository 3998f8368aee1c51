// One fuzzer in a process of its own, which may end it: `node one.mjs '{ "name", "seed", "devices", "share", "last" }'`. What it finds goes to the
// parent.
import { ftruncateSync, openSync, writeSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createViteServer } from "vitest/node";

const { name, last, share, ...options } = JSON.parse(process.argv[2]);
// Growth of memory is looked at when what is garbage has gone.
setFlagsFromString("--expose-gc");
globalThis.gc = runInNewContext("gc");

const file = openSync(last, "w");
/** Synchronous: the case that is being run is known, even where it ends the process. */
function before(round, text) {
  ftruncateSync(file);
  writeSync(file, JSON.stringify({ ...round, text }), 0);
}

const send = (message) => process.send(message);
for (const event of ["uncaughtException", "unhandledRejection"])
  process.on(event, (error) => {
    process.send({ stray: error?.stack ?? String(error) }, () => process.exit(1));
  });

const server = await createViteServer({
  configFile: "vitest.config.ts",
  server: { middlewareMode: true, watch: null, ws: false },
  optimizeDeps: { noDiscovery: true },
  logLevel: "error",
});
const { fuzzFor } = await server.ssrLoadModule("/test/fuzz/index.ts");
const found = await fuzzFor(name, { ...options, until: Date.now() + share, before, after: (cases) => send({ cases }) });
process.send({ found }, () => process.exit(0));
