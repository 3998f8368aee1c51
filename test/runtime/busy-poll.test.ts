import { EventEmitter, once } from "node:events";
import { afterEach, expect, test, vi } from "vitest";
import { BusyPoll } from "../../runtime/tasks/busy-poll.js";

const looks = vi.spyOn(globalThis, "setImmediate");
afterEach(() => void looks.mockClear());

const later = (milliseconds: number) => new Promise<string>((resolve) => setTimeout(() => resolve("done"), milliseconds));

test("settles as the work does", async () => {
  const poll = new BusyPoll(false);
  expect(await poll.wait(Promise.resolve(3))).toBe(3);
  await expect(poll.wait(Promise.reject(new RangeError("no")))).rejects.toThrow(RangeError);
});

test("keeps the loop awake for short work, and not for work that was long the last time", async () => {
  let now = 0;
  const poll = new BusyPoll(false, () => now);
  const work = async (milliseconds: number) => {
    looks.mockClear();
    await poll.wait(
      Promise.resolve().then(() => {
        now += milliseconds;
      }),
    );
    return looks.mock.calls.length;
  };
  expect(await work(0.25)).toBe(1);
  expect(await work(0.24)).toBe(0);
  expect(await work(0.25)).toBe(1);
  expect(await work(0)).toBe(0);
  expect(await work(0)).toBe(1);
});

test("polls for a moment only, and lets other callbacks run", async () => {
  let now = 0;
  const work = new EventEmitter();
  const waited = new BusyPoll(false, () => now).wait(once(work, "done"));
  await later(1);
  expect(looks.mock.calls.length).toBeGreaterThan(1);
  now = 0.1;
  await later(1);
  looks.mockClear();
  await later(5);
  expect(looks).not.toHaveBeenCalled();
  work.emit("done");
  await waited;
});

test("a process with one core does not poll", async () => {
  await new BusyPoll(true).wait(later(1));
  expect(looks).not.toHaveBeenCalled();
});
