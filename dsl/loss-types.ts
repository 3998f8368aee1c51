/** The types of a loss: its author's declaration and returned value, and the definition that `defineLoss` makes. */
import type { InputDtype } from "./dtypes.js";
import type { Expr, Num } from "./expression.js";
import type { InputSpace } from "./spaces.js";

export type { InputDtype };

/** An input as its author declares it: its space, or its space with more. */
export type InputSpec =
  | InputSpace
  | {
      readonly space: InputSpace;
      readonly dtype?: InputDtype;
      /** The value of every element where the caller gives none. */
      readonly default?: number;
    };
/** The inputs of a loss as `defineLoss` takes them, by their names. */
export interface Inputs {
  readonly [name: string]: InputSpec;
}

/** A number is a runtime scalar; a string, a boolean or `{ value, static: true }` specialises the loss when it is compiled. */
export type ConfigSpec =
  | number
  | string
  | boolean
  | { readonly value: number | string | boolean; readonly static: true }
  | ConfigDeclaration;
/** The config of a loss as `defineLoss` takes it: defaults by their names. */
export interface Config {
  readonly [name: string]: ConfigSpec;
}

declare const none: unique symbol;
/** The inputs or the config of a loss that declares none. */
export type None = { readonly [none]?: never };

/** An input of a {@link LossDefinition}: an {@link InputSpec} with everything filled in. */
export interface InputDeclaration<S extends InputSpace = InputSpace, D extends InputDtype = InputDtype> {
  readonly space: S;
  readonly dtype: D;
  readonly default?: number;
}
/** A config entry of a {@link LossDefinition}: a scalar that may change from call to call, or a constant of the compilation. */
export type ConfigDeclaration =
  | { readonly kind: "scalar"; readonly value: number }
  | { readonly kind: "static"; readonly value: number | string | boolean };

/** The space of an {@link InputSpec}. */
export type SpaceOf<S> = S extends InputSpace ? S : S extends { readonly space: infer P extends InputSpace } ? P : never;
/** The dtype of an {@link InputSpec}. */
export type DtypeOf<S> = S extends { readonly dtype?: infer D extends InputDtype } ? D : "f32";
/** The declaration that an {@link InputSpec} becomes. */
export type DeclaredInput<S> = InputDeclaration<SpaceOf<S>, DtypeOf<S>> &
  (S extends { readonly default: number } ? { readonly default: number } : unknown);

type Widened<V> = V extends string ? string : V extends boolean ? boolean : V extends number ? number : V;
/** The type of a config entry's values: its default names one of them. */
export type ValueOf<S> = S extends { readonly value: infer V } ? Widened<V> : Widened<S>;
/** The declaration that a {@link ConfigSpec} becomes. */
export type DeclaredConfig<S> = S extends ConfigDeclaration
  ? S
  : S extends number
    ? { readonly kind: "scalar"; readonly value: number }
    : { readonly kind: "static"; readonly value: ValueOf<S> };

/** The policy's part of a loss. Only this carries a gradient. */
export interface Policy {
  /** log p(target) of each token, natural log, never above 0. Token space. */
  readonly logprobs: Expr;
  /** log Σ exp over the token's logits. Token space. `INPUT_MISSING` where the caller brings `policy_logprobs` in place of logits. */
  readonly logsumexp: Expr;
  /** The row of each token as the model gave it. Vocab space. `INPUT_MISSING` from `policy_logprobs`. */
  readonly logits: Expr;
  /** −Σ p log p over the token's row, in nats. Token space. `INPUT_MISSING` from `policy_logprobs`. */
  readonly entropy: Expr;
}

/** The inputs of a loss while it is traced. */
export type InputExpressions<I extends Inputs> = { readonly [K in keyof I]: Expr };
/** The config of a loss while it is traced: scalars are expressions, constants are plain values. */
export type ConfigExpressions<C extends Config> = {
  readonly [K in keyof C]: C[K] extends number | { readonly kind: "scalar" } ? Expr : ValueOf<C[K]>;
};

/** An expression, several (each summed in its own space), or these with metrics and outputs. */
export type LossReturn =
  | Num
  | readonly Num[]
  | {
      /** Summed over the space that it lives in. */
      readonly loss: Num | readonly Num[];
      /**
       * Scalars for the host, in batch space; they carry no gradient. A function is called, and costs, only where the caller asks for the
       * metric by name.
       */
      readonly metrics?: Readonly<Record<string, Num | (() => Num)>>;
      /** Values per token or per sequence; they carry no gradient. */
      readonly outputs?: Readonly<Record<string, Num>>;
    };

/**
 * The mathematics of a loss: a function of the policy's values, the inputs and the config. It is run once, when the loss is traced.
 */
export type LossFunction<I extends Inputs = Inputs, C extends Config = Config, R extends LossReturn = LossReturn> = (
  policy: Policy,
  inputs: InputExpressions<I>,
  config: ConfigExpressions<C>,
) => R;

/** Needs of a loss that only its plan shows: `groups`, or the rows of logits, so that `policy_logprobs` are not enough. */
export type Need = "groups" | "rows";

declare const needs: unique symbol;

/**
 * A loss, ready to be compiled. Made by {@link defineLoss}; a copy of one is none. Its type parameters are the declared inputs, the declared
 * config and the loss's return type; a module that `lossc build` wrote also says what the loss needs.
 */
export interface LossDefinition<
  I extends Inputs = Inputs,
  C extends Config = Config,
  R extends LossReturn = LossReturn,
  N extends Need = never,
> {
  readonly name: string;
  readonly inputs: { readonly [K in keyof I]: DeclaredInput<I[K]> };
  readonly config: { readonly [K in keyof C]: DeclaredConfig<C[K]> };
  /** Called with expressions, within another loss: losses are made of losses. A method, so that every loss is a LossDefinition without parameters. */
  loss(policy: Policy, inputs: InputExpressions<I>, config: ConfigExpressions<C>): R;
  /** Known to TypeScript alone. */
  readonly [needs]?: (need: N) => void;
}

type SpecOf<S> =
  S extends InputDeclaration<infer P, "f32">
    ? S extends { readonly default: number }
      ? { readonly space: P; readonly default: number }
      : P
    : S;
type ConfigSpecOf<S> = S extends { readonly kind: "scalar" }
  ? number
  : S extends { readonly kind: "static"; readonly value: infer V }
    ? V extends number
      ? { readonly value: V; readonly static: true }
      : V
    : S;

// The type parameters of a definition. They are conditional types, so that messages and declarations show their results.

/** Inputs as an author writes them, also where another definition declared them. */
export type PlainInputs<I extends Inputs> = [keyof I] extends [keyof None] ? None : { readonly [K in keyof I]: SpecOf<I[K]> };
/** The config as an author writes it. */
export type PlainConfig<C extends Config> = [keyof C] extends [keyof None]
  ? None
  : { readonly [K in keyof C]: ConfigSpecOf<C[K]> };
/** Numbers and masks that a loss returns are expressions. */
export type PlainReturn<R extends LossReturn> = [R] extends [Num] ? Expr : R;

/** Refuses a misspelt key of a loss's returned value: `R` is inferred, and TypeScript accepts every key of an inferred type. */
type OnlyKnown<R> = R extends { readonly loss: unknown }
  ? { readonly [K in Exclude<keyof R, "loss" | "metrics" | "outputs">]: "a loss returns loss, metrics and outputs" }
  : unknown;

/** The argument of {@link defineLoss}. */
export interface LossDeclaration<I extends Inputs, C extends Config, R extends LossReturn> {
  /** For messages and for the comments of kernels. */
  readonly name: string;
  /** The data that a datum brings beside `target_tokens`, each by its space. */
  readonly inputs?: I;
  /** Numbers and switches of the mathematics, with their defaults. */
  readonly config?: C;
  readonly loss: LossFunction<NoInfer<I>, NoInfer<C>, R & OnlyKnown<R>>;
}
