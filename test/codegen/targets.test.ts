/** The records of `codegen/emit/targets/`. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { SHIPPED_TARGETS, stepUnit, TARGET_NAMES, TARGETS } from "../../codegen/emit/index.js";
import type { Target } from "../../codegen/emit/targets/index.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const shape = { vocab: 50_000, entryBytes: [2], values: 2 };

describe.each(TARGET_NAMES)("%s", (name) => {
  const target: Target = TARGETS[name];

  test("has a file of its own beside the list, and the two headers of a prelude", () => {
    expect(existsSync(join(root, "codegen", "emit", "targets", `${name}.ts`))).toBe(true);
    for (const header of ["prelude.h", "primitives.h"])
      expect(existsSync(join(root, "codegen", "preludes", target.prelude, header)), header).toBe(true);
  });

  test("makes of a step the same launch and macro wherever it stands", () => {
    const { text, launches } = stepUnit({ target: name, comment: "", kernels: [{ id: "k0", body: "struct K0 {};" }] });
    expect(launches).toEqual([{ kernel: "k0", ...target.step.launch }]);
    expect(text).toContain(`LOSSC_MAP(${["k0", "K0", ...target.step.arguments].join(", ")})\n`);
  });

  test("spreads a row by the device's architecture, but where every device of the target has the same", () => {
    const spread = (architecture: string) => target.sweep({ shape, architecture, long: false });
    const follows = JSON.stringify(spread("sm_80")) !== JSON.stringify(spread("sm_90"));
    expect(follows).toBe(target.compiler.language === "cuda");
    if (target.architecture !== null)
      expect(spread("")).toEqual(TARGETS.cuda.sweep({ shape, architecture: target.architecture, long: false }));
  });

  test("takes one row at a time where a body is long, if it may take several", () => {
    const short = { ...shape, vocab: 100 };
    const [usual, long] = [false, true].map((isLong) => target.sweep({ shape: short, architecture: "sm_90", long: isLong }));
    if (target.prelude === "cpu") expect([usual, long].map((entry) => entry?.arguments)).toEqual([["kLanes"], [1]]);
    else expect(long).toEqual(usual);
  });
});

test("binaries are made ahead of time for GPUs and processors, and not for the emulator", () => {
  expect(SHIPPED_TARGETS).toEqual(["cuda", "cpu"]);
});

test("a comparison with a target's name would leave a new target without an answer", () => {
  // Names of devices are another thing: `cpu` is one of them, too.
  const allowed = ["runtime/devices/open.ts"];
  const name = `["'](?:${TARGET_NAMES.join("|")})["']`;
  const comparison = new RegExp(`[!=]== ${name}|${name} [!=]==|case ${name}`);
  const files = ["codegen", "runtime"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((path) => `${folder}/${path}`),
  );
  const found = files.filter((path) => path.endsWith(".ts") && comparison.test(readFileSync(join(root, path), "utf8")));
  expect(found.filter((path) => !allowed.includes(path))).toEqual([]);
});
