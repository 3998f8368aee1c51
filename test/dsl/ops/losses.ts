/** An op as losses: one per operand that a gradient may reach, the policy's logprobs in its place. */

import { toAuthor } from "../../../dsl/expression.js";
import { defineLoss, type Expr, gt, type LossDefinition, stopGradient, where } from "../../../dsl/index.js";
import { opRow, rebuild } from "../../../dsl/ops/index.js";
import type { ElementwiseOp } from "../../../dsl/ops/names.js";
import type { CompiledLoss } from "../../../runtime/devices/device.js";

const NAMES = ["x", "y", "z"] as const;

/** The op on the operands; where it asks for truth values, numbers are one if they are positive. */
export function applied(op: ElementwiseOp, operands: readonly Expr[]): Expr {
  const row = opRow(op);
  if (!row) throw new Error(`no row ${op}`);
  const nodes = operands.map((x, i) => (row.takes[i] === "bool" ? gt(x, 0) : x));
  const result = toAuthor(rebuild(op, nodes));
  return row.gives === "bool" ? where(result, 1, 0) : result;
}

/** `values` hold constants in the place of some operands. */
export function lossesOf(op: ElementwiseOp, operands: number, constants: readonly (number | undefined)[] = []): LossDefinition[] {
  return Array.from(
    { length: operands },
    (_, k) =>
      defineLoss({
        name: `${op} ${k}`,
        inputs: { x: "token", y: "token", z: "token" },
        loss(policy, inputs) {
          const xs = NAMES.slice(0, operands).map((name, i) => constants[i] ?? (i === k ? policy.logprobs : inputs[name]));
          const value = applied(op, xs as Expr[]);
          return { loss: value, outputs: { value: stopGradient(value) } };
        },
      }) as unknown as LossDefinition,
  );
}

export interface Answer {
  readonly values: ArrayLike<number>;
  /** Per operand, per point. */
  readonly gradients: readonly ArrayLike<number>[];
}

/** Value and gradient at each point, one token a point. */
export async function answers(losses: readonly CompiledLoss[], points: readonly (readonly number[])[]): Promise<Answer> {
  const column = (i: number) => Float32Array.from(points, (point) => point[i] ?? 0);
  const results = [];
  for (const [k, loss] of losses.entries()) {
    const given = { lengths: [points.length], policy_logprobs: column(k), x: column(0), y: column(1), z: column(2) };
    results.push(await loss.forwardBackward(given, {}, { nonFinite: "propagate" }));
  }
  return {
    values: results[0]?.outputs.value as ArrayLike<number>,
    gradients: results.map((result) => result.gradLogprobs as Float32Array),
  };
}
