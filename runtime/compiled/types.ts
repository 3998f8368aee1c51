/** The types of a loss's calls: the values of its config, and the names of its metrics and outputs. */
import type { Config, LossReturn, ValueOf } from "../../dsl/index.js";

/** Constants or scalars of a loss, by the names that it declares. */
export type ConfigValues<C extends Config = Config> = { readonly [K in keyof C]?: ValueOf<C[K]> | undefined };

/** The record of metrics or outputs, where a loss returns one. */
type Part<R, Key extends string> = R extends { readonly [K in Key]?: infer X } & { readonly loss: unknown }
  ? unknown extends X
    ? never
    : Exclude<X, undefined>
  : never;
type Names<X> = X extends unknown ? keyof X & string : never;
type Unasked<X> = X extends unknown
  ? { [K in keyof X & string]: X[K] extends () => unknown ? never : K }[keyof X & string]
  : never;

// Each is a conditional type that is always taken, so that messages show the names and not how they were found.

/** Names of the metrics that a call may ask for. */
export type MetricName<R extends LossReturn = LossReturn> = [R] extends [LossReturn]
  ? Names<Part<R, "metrics">> | "loss:sum"
  : never;
/** Names of the metrics that come back where a call asks for none: those that are expressions, not functions. */
export type UnaskedMetric<R extends LossReturn> = [R] extends [LossReturn] ? Unasked<Part<R, "metrics">> | "loss:sum" : never;
/** Names of the metrics that come back where a call asks for `M`; any, where the loss's type does not say which it has. */
export type AnsweredMetric<R extends LossReturn, M extends string> = string extends MetricName<R> ? string : M | "loss:sum";
/** Names of the outputs. */
export type OutputName<R extends LossReturn = LossReturn> = Names<Part<R, "outputs">>;
