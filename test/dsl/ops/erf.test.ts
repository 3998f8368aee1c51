/** The error function in float64 against values of a C library, whose error is below 1 ulp. */
import { expect, it } from "vitest";
import { erf } from "../../../dsl/ops/erf.js";

const KNOWN: readonly (readonly [x: number, value: number])[] = [
  [1e-300, 1.1283791670955126e-300],
  [1e-9, 1.1283791670955127e-9],
  [0.01, 0.011283415555849616],
  [0.1, 0.1124629160182849],
  [0.3, 0.3286267594591274],
  [0.7, 0.6778011938374184],
  [1, 0.8427007929497149],
  [1.3, 0.9340079449406524],
  [1.7, 0.9837904585907745],
  [1.9999, 0.9953201979070294],
  [2, 0.9953222650189527],
  [2.0001, 0.9953243313041966],
  [2.2, 0.9981371537020182],
  [2.5, 0.999593047982555],
  [3, 0.9999779095030014],
  [3.5, 0.9999992569016276],
  [4, 0.9999999845827421],
  [5, 0.9999999999984626],
  [5.9, 0.9999999999999999],
  [6, 1.0],
  [8, 1.0],
  [27, 1.0],
];

it.each(KNOWN)("erf(%d) would be wrong in its last digits without its own sum for small and for large numbers", (x, value) => {
  expect(Math.abs(erf(x) - value) / value).toBeLessThan(1e-15);
  expect(erf(-x)).toBe(-erf(x));
});
