import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { mistakes } from "./support.js";

const unit = (body: string) => ({ comment: "a unit with a mistake", kernels: [{ id: "k0", body }] });
const GOOD =
  "struct K0 { struct Args { float* x; index n; double by; }; LOSSC_FN static void element(const Args& a, index i) { store(a.x, i, load(a.x, i) * float(a.by)); } };";

mistakes("COMPILE_FAILED", [
  {
    name: "a hand-written kernel that is no program",
    call: ({ device }) => device.loadModule(unit("struct K0 { this is no program };")),
    says: ["error", "The text is in"],
    devices: ["cpu", "emulated", "cuda:0"],
    also: async (error, { device }) => {
      expect(error.log).toContain("error");
      expect(readFileSync(error.text as string, "utf8")).toContain("this is no program");
      const loaded = await device.loadModule(unit(GOOD));
      const buffer = await device.buffer(Float32Array.of(1, 2, 3));
      await device.native?.run([loaded.launch("k0", 3, [buffer.memory, { index: 3 }, { scalar: 2 }])]);
      expect(await buffer.read()).toEqual(Float32Array.of(2, 4, 6));
    },
  },
]);
