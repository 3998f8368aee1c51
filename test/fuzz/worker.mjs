// A worker of the fuzzer on the built package, with a limit on its time.
import { parentPort, workerData } from "node:worker_threads";
import { losses, openDevice } from "../../dist/index.js";

const { device: name, loss, calls, batch, end, at } = workerData;

/** The worker has come so far; here is where it may have to end. */
function reached(step) {
  if (step !== at) return;
  if (end === "exit") process.exit(3);
  if (end === "throw") throw new Error("planted");
}

const device = await openDevice(name);
reached("opened");
const compiled = await device.compile(losses[loss]);
reached("compiled");
const running = Array.from({ length: calls }, () => compiled.forwardBackward(batch));
const ended = Promise.all(running);
// Where the worker ends first nobody waits for them.
ended.catch(() => {});
reached("running");
parentPort.postMessage(await ended);
if (end === "dispose") await device.dispose();
