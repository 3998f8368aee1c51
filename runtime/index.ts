/** The public API of the runtime. */
import "./globals.js";

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
  LoadedUnit,
  LogitsInputs,
  LogprobsInputs,
  LossInputs,
  LossResult,
  MetricName,
  OutputName,
  StepKernel,
  TokenSource,
  UnaskedMetric,
  UnitArgument,
  UnitSource,
  WholeSource,
} from "./devices/device.js";
export { openDevice } from "./devices/open.js";
export type { Float16Numbers, TypedArray } from "./dtypes.js";
