/** From a plan to the text of its kernels for one target. */
export { type EmitOptions, emitText, emitTogether } from "./emit.js";
export { preludeText } from "./preludes.js";
export {
  type Compiler,
  type CxxTarget,
  isCxxTarget,
  type Launch,
  SHIPPED_TARGETS,
  type ShippedTarget,
  TARGET_NAMES,
  TARGETS,
  type TargetName,
} from "./targets/index.js";
export { ENTRIES_MARK, KERNELS_MARK, type KernelText, PRELUDE_MARK, stepUnit } from "./unit.js";
