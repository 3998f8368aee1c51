/**
 * One file per code: the mistakes that cause it through the JavaScript API, on every device. After each, the gradient of an earlier call is as it
 * was, and the same call gives the same bits.
 */
import { expect, test } from "vitest";
import type { ErrorCode, LosscError } from "../../dsl/errors.js";
import { ppo } from "../../losses/index.js";
import type { CompiledLoss, Device, LossResult } from "../../runtime/devices/device.js";
import { ALL_DEVICES, type DeviceName, eachDevice, expectError, ppoInputs } from "../runtime/support.js";

/** The fixtures of a mistake. */
export interface Setting {
  readonly device: Device;
  readonly ppo: CompiledLoss;
}

export interface Mistake {
  readonly name: string;
  /** The mistake, for the test's title. */
  readonly call: (setting: Setting) => unknown;
  /** Words that the message must say. */
  readonly says: readonly string[];
  readonly also?: (error: LosscError, setting: Setting) => void | Promise<void>;
  readonly devices?: readonly DeviceName[];
}

export function mistakes(code: ErrorCode, list: readonly Mistake[]): void {
  const names = ALL_DEVICES.filter((device) => list.some(({ devices = ALL_DEVICES }) => devices.includes(device)));
  eachDevice((open, device) => {
    for (const { name, call, says, also, devices = ALL_DEVICES } of list) {
      if (!devices.includes(device)) continue;
      test(`${code}: ${name}`, async () => {
        const opened = await open();
        const compiled = await opened.compile(ppo);
        const before = await compiled.forwardBackward(ppoInputs());
        const kept = bits(before);
        const launched = opened.launches;
        const setting = { device: opened, ppo: compiled };
        const error = await expectError(code, () => call(setting), ...says);
        // A mistake in what the host holds is found before anything is launched.
        if (/^(USAGE|CONFIG|INPUT|SPACE|OPERATOR)/.test(code)) expect(opened.launches).toBe(launched);
        await also?.(error, setting);
        expect(bits(before)).toEqual(kept);
        expect(bits(await compiled.forwardBackward(ppoInputs()))).toEqual(kept);
      });
    }
  }, names);
}

function bits({ loss, logprobs, gradLogits }: LossResult): unknown {
  return [loss, Array.from(logprobs as Float32Array), Array.from(gradLogits as Float32Array)];
}
