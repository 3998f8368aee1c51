/** Once per run, before its workers begin: what several of them would otherwise make at the same time. */
import { buildFakes } from "./native/fake/build.js";

export default function setup(): void {
  try {
    buildFakes();
  } catch {
    // A machine without a C++ compiler: the tests that need the fakes say so themselves.
  }
}
