/**
 * The processors that the CPU's text is compiled for: those that `cpu-machine.h` of the preludes distinguishes. `$LOSSC_CXXFLAGS` come after
 * `-march=native`, so that a machine stands in for processors that have less than its own.
 */
import { execFileSync } from "node:child_process";
import { findCxx } from "../../runtime/compilers/index.js";
import { findProgram } from "../../runtime/compilers/process.js";

interface Processor {
  readonly name: string;
  /** To be set while a device is opened and compiles. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Clang, where it is. */
export const clang = await findProgram("clang++");
const first = await findCxx();

function knows(compiler: string, march: string): boolean {
  try {
    execFileSync(compiler, [`-march=${march}`, "-x", "c++", "-fsyntax-only", "/dev/null"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** The processor that all other tests compile for. */
export const HERE: Processor = { name: "the compiler and the processor that are here", environment: {} };

/** Other processors, and another compiler. */
export const OTHERS: readonly Processor[] = [first, clang].flatMap((compiler) =>
  compiler === null
    ? []
    : [
        ...(compiler === first ? [] : [{ name: compiler, environment: { CXX: compiler } }]),
        ...["x86-64", "x86-64-v3"]
          .filter((march) => process.arch === "x64" && knows(compiler, march))
          .map((march) => ({
            name: `${compiler} for ${march}`,
            environment: { CXX: compiler, LOSSC_CXXFLAGS: `-march=${march}` },
          })),
      ],
);
