import { expect } from "vitest";
import { defineLoss } from "../../dsl/index.js";
import { cross_entropy, forward_kl } from "../../losses/index.js";
import { toBf16 } from "../../runtime/devices/dtypes.js";
import { LENGTHS, LOGITS, ppoInputs, TARGETS } from "../runtime/support.js";
import { mistakes } from "./support.js";

const IN_PLACE = { inPlace: true } as const;

/** Logits of the usual batch at the beginning of more memory. */
function roomyLogits(memory: ArrayBuffer | SharedArrayBuffer = new ArrayBuffer(128)): Float32Array {
  const logits = new Float32Array(memory, 0, LOGITS.length);
  logits.set(LOGITS);
  return logits;
}

const readsHalves = defineLoss({
  name: "reads halves",
  inputs: { teacher: { space: "vocab", dtype: "bf16" } },
  loss: (policy) => policy.logprobs,
});

mistakes("INPUT_OVERLAP", [
  {
    name: "weights that share a byte with the logits",
    call: ({ ppo }) => {
      const logits = roomyLogits();
      const last = logits.byteLength - 4;
      return ppo.forwardBackward(
        { ...ppoInputs(), logits, weights: new Float32Array(logits.buffer, last, 3).fill(1) },
        {},
        IN_PLACE,
      );
    },
    says: ["weights", "logits", "the same memory", "inPlace"],
  },
  {
    name: "targets among the logits",
    call: ({ ppo }) => {
      const logits = roomyLogits();
      return ppo.forwardBackward(
        { ...ppoInputs(), logits, target_tokens: new Int32Array(logits.buffer, 0, 3).fill(0) },
        {},
        IN_PLACE,
      );
    },
    says: ["target_tokens", "logits"],
  },
  {
    name: "an input in shared memory",
    call: ({ ppo }) => {
      const logits = roomyLogits(new SharedArrayBuffer(128));
      return ppo.forwardBackward({ ...ppoInputs(), logits, advantages: new Float32Array(logits.buffer, 4, 3) }, {}, IN_PLACE);
    },
    says: ["advantages", "logits"],
  },
  {
    name: "shared memory under another object, as it comes from a worker",
    call: ({ ppo }) => {
      const logits = roomyLogits(new SharedArrayBuffer(128));
      const memory = structuredClone(logits.buffer);
      expect(memory).not.toBe(logits.buffer);
      return ppo.forwardBackward({ ...ppoInputs(), logits, advantages: new Float32Array(memory, 4, 3) }, {}, IN_PLACE);
    },
    says: ["advantages", "logits"],
  },
  {
    name: "a teacher that is the student",
    call: async ({ device }) => {
      const logits = Float32Array.from(LOGITS);
      const compiled = await device.compile(forward_kl);
      await compiled.forwardBackward({ lengths: LENGTHS, logits, teacher_logits: logits, target_tokens: TARGETS }, {}, IN_PLACE);
    },
    says: ["teacher_logits", "logits"],
  },
  {
    name: "a teacher that is the student, on the device",
    call: async ({ device }) => {
      const logits = await device.buffer(Float32Array.from(LOGITS));
      const compiled = await device.compile(forward_kl);
      await compiled.forwardBackward({ lengths: LENGTHS, logits, teacher_logits: logits, target_tokens: TARGETS }, {}, IN_PLACE);
    },
    says: ["teacher_logits", "logits"],
  },
  {
    name: "rows of halves",
    call: async ({ device }) => {
      const logits = { data: Uint16Array.from(LOGITS, toBf16), dtype: "bf16" } as const;
      const compiled = await device.compile(readsHalves, { dtype: "bf16" });
      await compiled.forwardBackward({ lengths: LENGTHS, logits, teacher: logits, target_tokens: TARGETS }, {}, IN_PLACE);
    },
    says: ["teacher", "logits"],
  },
  {
    name: "hidden states that are the head",
    call: async ({ device }) => {
      const hidden = Float32Array.of(1, 2, 3, 4, 5, 6);
      const compiled = await device.compile(cross_entropy);
      await compiled.forwardBackward({ lengths: LENGTHS, hidden, head: hidden, target_tokens: [0, 1, 2] }, {}, IN_PLACE);
    },
    says: ["head", "hidden"],
  },
  {
    name: "a sum of the head's gradient in the hidden states",
    call: async ({ device }) => {
      const memory = Float32Array.of(1, 2, 3, 4, 5, 6, 0, 0, 0, 0);
      const [hidden, gradHead] = [memory.subarray(0, 6), memory.subarray(4)];
      const compiled = await device.compile(cross_entropy);
      const inputs = { lengths: LENGTHS, hidden, head: [1, 2, 3, 4, 5, 6], target_tokens: [0, 1, 2] };
      await compiled.forwardBackward(inputs, {}, { inPlace: true, gradHead });
    },
    says: ["gradHead", "hidden"],
  },
]);
