// A process of its own for the tests, from the built package: saves or loads a state and prints, in bytes, what it holds and how much more memory
// that took at its peak.
import { readFileSync } from "node:fs";
import { readState, writeState } from "../../dist/runtime/training/state-file.js";

const [job, path, sizes] = process.argv.slice(2);
/** Of this process alone; resourceUsage() begins with what its parent had. */
const peak = () => 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "latin1"))[1]);

const jobs = {
  async save() {
    const entries = sizes
      .split(",")
      .map((size, i) => [`tensor ${i}`, { shape: [Number(size)], data: new Float32Array(Number(size)).fill(i + 0.5) }]);
    const before = peak();
    await writeState(path, { step: 1, tensors: Object.fromEntries(entries) });
    return peak() - before;
  },
  async load() {
    const before = peak();
    const { tensors } = await readState(path);
    const bytes = Object.values(tensors).reduce((sum, { data }) => sum + data.byteLength, 0);
    const values = Object.values(tensors).map(({ data }) => [data[0], data.at(-1)]);
    console.error(JSON.stringify({ bytes, values }));
    return peak() - before - bytes;
  },
};

console.log(await jobs[job]());
