/** Many calls that one signal may end. */
import { getEventListeners, setMaxListeners } from "node:events";
import { setImmediate } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { TrainingClient } from "../../index.js";
import { cross_entropy } from "../../losses/index.js";
import { runProgram } from "../../runtime/compilers/process.js";
import { Queue, SharedTask, whenAborted, withSignal } from "../../runtime/tasks/abort.js";
import { data, TablePolicy } from "../training/support.js";
import { crossEntropyInputs, expectError, openOnly } from "./support.js";

const CALLS = 1000;

/** The warnings of the process from now until the test ends. */
function warnings(): string[] {
  const seen: string[] = [];
  const see = ({ name, message }: Error) => seen.push(`${name}: ${message}`);
  process.on("warning", see);
  onTestFinished(() => void process.off("warning", see));
  return seen;
}

/** Calls that have settled leave nothing on the signal, and Node has not warned of them. */
async function expectClean(signal: AbortSignal, warned: readonly string[]): Promise<void> {
  // Warnings are emitted, and listeners removed, a turn later.
  await setImmediate();
  expect(getEventListeners(signal, "abort")).toEqual([]);
  expect(warned.filter((warning) => warning.includes("MaxListeners"))).toEqual([]);
}

const many = <T>(call: (i: number) => Promise<T>) => Promise.allSettled(Array.from({ length: CALLS }, (_, i) => call(i)));

describe("a thousand calls on one signal", () => {
  test("the warning is seen where each call listens for itself", async () => {
    const warned = warnings();
    const { signal } = new AbortController();
    setMaxListeners(10, signal);
    for (let i = 0; i < 11; i++) signal.addEventListener("abort", () => {});
    await setImmediate();
    expect(warned.join()).toContain("MaxListenersExceededWarning");
  });

  test.each(["reference", "cpu"])("run on %s without a warning, and leave no listener", async (name) => {
    const warned = warnings();
    const compiled = await (await openOnly(name)).compile(cross_entropy);
    const { signal } = new AbortController();
    const calls = many(() => compiled.forwardBackward(crossEntropyInputs(), {}, { signal }));
    expect(getEventListeners(signal, "abort").length).toBe(1);
    const settled = await calls;
    expect(settled.every(({ status }) => status === "fulfilled")).toBe(true);
    await expectClean(signal, warned);
  });

  test("are all ended by it", async () => {
    const warned = warnings();
    const device = await openOnly("cpu");
    const compiled = await device.compile(cross_entropy);
    const right = await compiled.forwardBackward(crossEntropyInputs());
    const controller = new AbortController();
    const calls = many(() => compiled.forwardBackward(crossEntropyInputs(), {}, { signal: controller.signal }));
    controller.abort();
    for (const call of await calls) expect(call).toMatchObject({ status: "rejected", reason: { code: "ABORTED" } });
    await expectClean(controller.signal, warned);
    expect(await compiled.forwardBackward(crossEntropyInputs())).toEqual(right);
  });

  test("of a training client, whose policy runs with the signal too", async () => {
    const warned = warnings();
    const device = await openOnly("cpu");
    const client = new TrainingClient({ policy: await TablePolicy.create(device), device });
    const controller = new AbortController();
    const few = Array.from({ length: 40 }, () => client.forward(data(), "ppo", {}, { signal: controller.signal }));
    await few[0];
    controller.abort();
    const settled = await Promise.allSettled(few);
    expect(settled.at(-1)).toMatchObject({ status: "rejected", reason: { code: "ABORTED" } });
    await expectClean(controller.signal, warned);
  });

  test("of everything that waits for work", async () => {
    const warned = warnings();
    const controller = new AbortController();
    const { signal } = controller;
    const never = new Promise<never>(() => {});
    const shared = new SharedTask(() => never);
    const queue = new Queue();
    queue.run(() => new Promise((resolve) => whenAborted(signal, () => resolve(null))));
    const calls = many((i) => {
      if (i < 4) return runProgram("/bin/sleep", ["60"], { signal });
      if (i % 3 === 0) return withSignal(never, signal, "The wait");
      return i % 3 === 1 ? shared.wait(signal, "The wait") : queue.run(async () => null, signal, "The wait");
    });
    await setImmediate();
    expect(getEventListeners(signal, "abort").length).toBe(1);
    controller.abort();
    for (const call of await calls) expect(call).toMatchObject({ status: "rejected", reason: { code: "ABORTED" } });
    expect(shared.abandoned).toBe(true);
    await expectClean(signal, warned);
  });
});

test("a call that has settled is not called any more, and one that comes after the signal fired is called at once", async () => {
  const controller = new AbortController();
  const seen: string[] = [];
  const leave = whenAborted(controller.signal, () => seen.push("left"));
  const same = () => void seen.push("stays");
  const other = whenAborted(controller.signal, same);
  whenAborted(controller.signal, same);
  leave();
  leave();
  other();
  controller.abort();
  whenAborted(controller.signal, () => seen.push("late"));
  expect(seen).toEqual(["stays", "late"]);
  await expectError("ABORTED", () => withSignal(new Promise(() => {}), controller.signal, "The wait"), "The wait");
});
