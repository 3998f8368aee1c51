/** The public API of the runtime. */
import "./globals.js";
import "./hint.js";

export { LosscError } from "../dsl/errors.js";
export { registerBinaries } from "./ahead/shipped.js";
export type {
  AnsweredMetric,
  BatchInputs,
  BatchOf,
  CompiledFrom,
  CompiledLoss,
  CompileOptions,
  ConfigOf,
  ConfigValues,
  Device,
  DeviceBuffer,
  DeviceOptions,
  FloatSource,
  ForwardBackwardOptions,
  HalfSource,
  HiddenInputs,
  InputsOf,
  LaunchArgument,
  LoadedModule,
  LogitsInputs,
  LogprobsInputs,
  LossInputs,
  LossResult,
  MetricName,
  ModuleSource,
  OutputName,
  StepKernel,
  TokenSource,
  UnaskedMetric,
  WholeSource,
} from "./devices/device.js";
export type { Float16Numbers, TypedArray } from "./devices/dtypes.js";
export { openDevice } from "./devices/open.js";
