/** Behaviour of the addon where the system starts no more threads. */
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { addonPath, compileShared } from "./support.js";

/** Stands before libc's own: no more than $LOSSC_TEST_THREADS threads, where that is set, run at a time. */
const shim = compileShared(`
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <dlfcn.h>
#include <pthread.h>
namespace {
std::atomic<int> running{0};
struct Start {
  void* (*function)(void*);
  void* argument;
};
void* counted(void* data) {
  auto* start = static_cast<Start*>(data);
  void* result = start->function(start->argument);
  delete start;
  --running;
  return result;
}
}
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*function)(void*), void* argument) {
  static auto* const real = reinterpret_cast<decltype(&pthread_create)>(dlsym(RTLD_NEXT, "pthread_create"));
  const char* most = std::getenv("LOSSC_TEST_THREADS");
  if (most == nullptr) return real(thread, attributes, function, argument);
  if (running.load() >= std::atoi(most)) return EAGAIN;
  ++running;
  return real(thread, attributes, counted, new Start{function, argument});
}
`);

/** Runs the lines in a process that can start so many threads more; gives what they write. */
function within(most: number, lines: string): string {
  const script = `
    const addon = require(${JSON.stringify(addonPath)});
    process.env.LOSSC_TEST_THREADS = "${most}";
    (async () => { ${lines} })().catch((error) => console.log(error.code, error.message));`;
  const preload = [process.env.LD_PRELOAD, shim].filter(Boolean).join(":");
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ["-e", script], {
    encoding: "utf8",
    env: { ...process.env, LD_PRELOAD: preload },
  });
  expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: "" });
  return stdout.trim();
}

const OPEN = `
  const device = addon.openCpu({ threads: 1000 });
  const bytes = new Uint8Array(2 ** 24);
  await device.run([{ kind: "fill", to: bytes, offset: 0, bytes: bytes.length, value: 7 }]);
  console.log(device.threads, bytes.every((byte) => byte === 7));
  await device.dispose();`;

const there = process.platform === "linux";

test.skipIf(!there).each([
  [20, "11 true"],
  [5, "3 true"],
  [1, "1 true"],
])("a pool makes do with half the threads that could be started, which are %i", (most, expected) => {
  expect(within(most, OPEN)).toBe(expected);
});

test.skipIf(!there)("a device whose own thread does not start is refused, and so is a compilation", () => {
  expect(within(0, "addon.openCpu({ threads: 1000 });")).toMatch(/^DEVICE_FAULT a thread cannot be started \(.+\): .*limit/);
  expect(within(0, 'await addon.compileCuda("", []);')).toMatch(/^DEVICE_FAULT a thread cannot be started/);
});
