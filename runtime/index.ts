/** The public API of the runtime. */
import "./globals.js";
import "./hint.js";

export { LosscError } from "../dsl/errors.js";
export { registerBinaries } from "./ahead/shipped.js";
export type {
  BatchInputs,
  BuiltLoss,
  CompiledBuiltLoss,
  CompiledLoss,
  CompileOptions,
  ConfigValues,
  Device,
  DeviceBuffer,
  DeviceOptions,
  FloatSource,
  ForwardBackwardOptions,
  HalfSource,
  HiddenInputs,
  LaunchArgument,
  LoadedModule,
  LogitsInputs,
  LogprobsInputs,
  LossInputs,
  LossResult,
  ModuleSource,
  StepKernel,
  TokenSource,
  WholeSource,
} from "./devices/device.js";
export type { Float16Numbers, TypedArray } from "./devices/dtypes.js";
export { openDevice } from "./devices/open.js";
