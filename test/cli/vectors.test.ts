/** The losses that ship with lossc against vectors of another system, through `lossc eval --cases`. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { whyNoGpu } from "../runtime/support.js";
import { sampled } from "../sample.js";
import { mistakes, padded, plain, repeated, type Shaped, type Vector } from "./vectors.js";

/** The sets, and in how many shapes each is tried: rows of a teacher and groups are not padded and repeated as others are. */
const SETS = {
  "test/fixtures/builtins.json": { path: "../fixtures/builtins.json", shaped: true },
  "../shared/vectors/builtins.json": { path: "../../../shared/vectors/builtins.json", shaped: true },
  "../shared/vectors/catalogue.json": { path: "../../../shared/vectors/catalogue.json", shaped: false },
} as const;

const SHAPES: Readonly<Record<string, (vector: Vector) => Shaped | undefined>> = {
  "as they are": plain,
  "padded to V 1000": (vector) => padded(vector, 1000),
  "padded to V 32771": (vector) => padded(vector, 32771),
  "padded to V 131075": (vector) => padded(vector, 131075),
  "repeated to T 4097": (vector) => repeated(vector, 4097),
};

/**
 * Of the large shapes every n-th vector is taken, those without rows always: on `emulated`, whose lanes run one by one, and of the many vectors
 * that lie beside the checkout, whose large shapes are gigabytes of text. No run takes more.
 */
const STRIDE: Readonly<Record<string, number>> = { "padded to V 32771": 3, "padded to V 131075": 8, "repeated to T 4097": 8 };
/** Vectors of a set from which on they are many. Their kinds follow one another in turns of six: every fifth is of each kind. */
const MANY = 100;
const STRIDE_OF_MANY: Readonly<Record<string, number>> = {
  "padded to V 32771": 5,
  "padded to V 131075": 5,
  "repeated to T 4097": 5,
};

/** Shapes whose text is megabytes for every vector. */
const LARGE = new Set(["padded to V 32771", "padded to V 131075", "repeated to T 4097"]);

/** In a sample one vector of each loss, and those without rows, which are small. */
const oneOfEachLoss = (vectors: readonly Vector[], what: string): Vector[] => [
  ...[...new Set(vectors.map(({ loss }) => loss))].flatMap((loss) => {
    const withRows = vectors.filter((vector) => vector.loss === loss && vector.case.logits !== undefined);
    return sampled(`${what}, ${loss}`, 1, withRows);
  }),
  ...vectors.filter((vector) => vector.case.logits === undefined),
];

/** In a sample the vectors of so many losses. */
function ofSomeLosses(vectors: readonly Vector[], what: string, count: number): Vector[] {
  const some = sampled(`losses, ${what}`, count, [...new Set(vectors.map(({ loss }) => loss))]);
  return vectors.filter(({ loss }) => some.includes(loss));
}

for (const [name, { path, shaped: many }] of Object.entries(SETS)) {
  const file = fileURLToPath(new URL(path, import.meta.url));
  // Vectors that lie beside the checkout are not part of it; where they are missing the report says so by name.
  const here = existsSync(file);
  describe.skipIf(!here)(name, () => {
    const vectors = here ? (JSON.parse(readFileSync(file, "utf8")) as Vector[]) : [];
    for (const device of ["reference", "cpu", "emulated", "cuda:0"]) {
      const absent = device === "cuda:0" ? whyNoGpu() : null;
      const title = absent === null ? device : `${device} is absent (${absent})`;
      for (const [shape, make] of Object.entries(SHAPES)) {
        if (!many && make !== plain) continue;
        test.skipIf(absent !== null)(`${title}, ${shape}`, { timeout: 600_000 }, async () => {
          const stride = device === "emulated" ? STRIDE : vectors.length > MANY ? STRIDE_OF_MANY : {};
          const every = stride[shape] ?? 1;
          const all = vectors.filter((vector, i) => i % every === 0 || vector.case.logits === undefined);
          const own = many ? all : ofSomeLosses(all, `${name}, ${device}`, device === "emulated" ? 7 : all.length);
          const shaped = (LARGE.has(shape) ? oneOfEachLoss(own, `${name}, ${device}, ${shape}`) : own).map(make);
          expect(
            await mistakes(
              shaped.filter((item) => item !== undefined),
              device,
            ),
          ).toEqual([]);
        });
      }
    }
  });
}
