/** `reference`, which the other devices are held against. */
import type { LossDefinition } from "../../dsl/index.js";
import type { LossInputs, LossResult } from "../../runtime/devices/device.js";
import { openDevice } from "../../runtime/index.js";

export const reference = await openDevice("reference");

/** Loss and gradient as `reference` has them. */
export async function oracle(loss: LossDefinition, inputs: LossInputs, options: object = {}): Promise<LossResult> {
  return (await reference.compile(loss)).forwardBackward(inputs, {}, options);
}

export function numbers(array: unknown): number[] {
  return Array.from(array as ArrayLike<number>);
}
