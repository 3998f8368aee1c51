/** The public API of the runtime. */
export { LosscError } from "../dsl/errors.js";
export type {
  CompiledLoss,
  CompileOptions,
  ConfigValues,
  Device,
  DeviceBuffer,
  DeviceOptions,
  FloatSource,
  ForwardBackwardOptions,
  HalfSource,
  LoadedUnit,
  LossInputs,
  LossResult,
  StepKernel,
  TokenSource,
  UnitArgument,
  UnitSource,
  WholeSource,
} from "./devices/device.js";
export { openDevice } from "./devices/open.js";
export type { TypedArray } from "./dtypes.js";
