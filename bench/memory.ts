/** Peak memory of a piece of work. */
import { readFileSync, writeFileSync } from "node:fs";

/** Peak bytes of the process during the work beyond those before it; null on systems other than Linux. */
export async function peakOf(work: () => Promise<unknown>): Promise<number | null> {
  const before = resetPeak();
  await work();
  return before === null ? null : resident("VmHWM") - before;
}

/** Resets the recorded peak, and returns the current memory of the process. */
function resetPeak(): number | null {
  try {
    writeFileSync("/proc/self/clear_refs", "5");
    return resident("VmRSS");
  } catch {
    return null;
  }
}

function resident(field: "VmHWM" | "VmRSS"): number {
  const [, kilobytes] = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return 1024 * Number(kilobytes);
}
