import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Queue, SharedTask } from "../../runtime/tasks/abort.js";
import { expectError } from "./support.js";

describe("a queue", () => {
  test("runs tasks one after the other, also after one that failed", async () => {
    const queue = new Queue();
    const seen: string[] = [];
    const task = (name: string, fails = false) =>
      queue.run(async () => {
        seen.push(`${name} begins`);
        await sleep(5);
        seen.push(`${name} ends`);
        if (fails) throw new Error(name);
        return name;
      });
    const results = await Promise.allSettled([task("a"), task("b", true), task("c")]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(seen).toEqual(["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
  });

  test("lets go at once of a caller that gives up waiting, and never starts its task", async () => {
    const queue = new Queue();
    let release = () => {};
    const first = queue.run(() => new Promise<void>((resolve) => (release = resolve)));
    const controller = new AbortController();
    let started = false;
    const second = queue.run(
      async () => {
        started = true;
      },
      controller.signal,
      "the second",
    );
    await sleep(1);
    controller.abort();
    await expectError("ABORTED", () => second, "the second");
    release();
    await first;
    await queue.idle();
    expect(started).toBe(false);
  });

  test("leaves a task that runs to end by itself", async () => {
    const queue = new Queue();
    const controller = new AbortController();
    const running = queue.run(async () => {
      await sleep(5);
      return "done";
    }, controller.signal);
    await sleep(1);
    controller.abort();
    expect(await running).toBe("done");
  });
});

describe("shared work", () => {
  test("is ended when the last caller has left, not before", async () => {
    let ended = false;
    const shared = new SharedTask<string>(async (signal) => {
      signal.addEventListener("abort", () => (ended = true));
      await sleep(30);
      return "done";
    });
    const [one, two] = [new AbortController(), new AbortController()];
    const waits = [shared.wait(one.signal, "one"), shared.wait(two.signal, "two")] as const;
    one.abort();
    await expectError("ABORTED", () => waits[0], "one");
    expect([ended, shared.abandoned]).toEqual([false, false]);
    two.abort();
    await expectError("ABORTED", () => waits[1], "two");
    expect([ended, shared.abandoned]).toEqual([true, true]);
  });

  test("fails for everybody who waits", async () => {
    const shared = new SharedTask<string>(() => Promise.reject(new Error("broken")));
    await expect(shared.wait(undefined, "x")).rejects.toThrow("broken");
    await expect(shared.wait(undefined, "x")).rejects.toThrow("broken");
  });
});
