import { afterEach, expect, test, vi } from "vitest";
import { Lookout } from "../../runtime/lookout.js";

const looks = vi.spyOn(globalThis, "setImmediate");
afterEach(() => void looks.mockClear());

const later = (milliseconds: number) => new Promise<string>((resolve) => setTimeout(() => resolve("done"), milliseconds));

test("settles as the work does", async () => {
  const lookout = new Lookout(false);
  expect(await lookout.wait(Promise.resolve(3))).toBe(3);
  await expect(lookout.wait(Promise.reject(new RangeError("no")))).rejects.toThrow(RangeError);
});

test("keeps the loop awake for short work, and not for what was long the last time", async () => {
  const lookout = new Lookout(false);
  await lookout.wait(Promise.resolve());
  expect(looks).toHaveBeenCalledTimes(1);
  expect(await lookout.wait(later(20))).toBe("done");
  looks.mockClear();
  expect(await lookout.wait(later(20))).toBe("done");
  expect(looks).not.toHaveBeenCalled();
  await lookout.wait(Promise.resolve());
  looks.mockClear();
  await lookout.wait(Promise.resolve());
  expect(looks).toHaveBeenCalledTimes(1);
});

test("looks out for a moment only, and lets others have their turn", async () => {
  const lookout = new Lookout(false);
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await lookout.wait(later(30));
  clearInterval(timer);
  expect(turns).toBeGreaterThan(0);
  looks.mockClear();
  await later(5);
  expect(looks).not.toHaveBeenCalled();
});

test("a process with one core does not look out", async () => {
  await new Lookout(true).wait(later(1));
  expect(looks).not.toHaveBeenCalled();
});
