import { expect, test } from "vitest";
import { Semaphore } from "../../runtime/tasks/semaphore.js";
import { expectError } from "./support.js";

/** Work that ends on request. */
function work() {
  const order: string[] = [];
  const ends = new Map<string, () => void>();
  const begin = (name: string) => () => {
    order.push(`${name} begins`);
    return new Promise<string>((resolve) => ends.set(name, () => resolve(name)));
  };
  return { order, begin, end: (name: string) => ends.get(name)?.() };
}

const calm = () => new Promise((resolve) => setImmediate(resolve));
const { signal } = new AbortController();

test("as much runs at once as its count says, and the rest in its order", async () => {
  const semaphore = new Semaphore(2);
  const { order, begin, end } = work();
  const all = ["a", "b", "c", "d"].map((name) => semaphore.run(begin(name), signal, "It"));
  await calm();
  expect(order).toEqual(["a begins", "b begins"]);
  end("b");
  await calm();
  expect(order).toEqual(["a begins", "b begins", "c begins"]);
  for (const name of ["c", "a"]) end(name);
  await calm();
  end("d");
  expect(await Promise.all(all)).toEqual(["a", "b", "c", "d"]);
});

test("failures and aborts give their slot back, and what is aborted while it waits is not begun", async () => {
  const semaphore = new Semaphore(1);
  await expect(semaphore.run(() => Promise.reject(new RangeError("no")), signal, "It")).rejects.toThrow(RangeError);
  const { order, begin, end } = work();
  const first = semaphore.run(begin("a"), signal, "It");
  const controller = new AbortController();
  const second = expectError("ABORTED", () => semaphore.run(begin("b"), controller.signal, "It"));
  const third = semaphore.run(begin("c"), signal, "It");
  controller.abort();
  end("a");
  await first;
  await second;
  await calm();
  expect(order).toEqual(["a begins", "c begins"]);
  end("c");
  expect(await third).toBe("c");
});
