/** From a list of datums to the packed arrays of one call: every check that needs no policy and no device happens here. */

import { LosscError } from "../../dsl/errors.js";
import type { InputDeclaration } from "../../dsl/index.js";
import { type Float16Numbers, isSound } from "../devices/dtypes.js";
import { describe } from "../inputs/numbers.js";
import { checkGroups } from "../inputs/shape.js";
import type { PolicyBatch } from "./policy.js";

/** Numbers one after the other: a plain array or a typed one. */
export type Numbers =
  | readonly number[]
  | Float32Array
  | Float64Array
  | Float16Numbers
  | Int32Array
  | Uint32Array
  | Uint16Array
  | Uint8Array;

/** One sequence with its inputs of the loss: arrays per token, numbers per sequence. */
export interface Datum {
  /** Tokens that the policy reads; as long as `target_tokens`. */
  readonly modelInput: readonly number[] | Int32Array;
  readonly lossFnInputs: { readonly target_tokens: Numbers } & Readonly<Record<string, Numbers | number>>;
}

/** The data of one call, packed. */
export interface PackedData {
  readonly batch: PolicyBatch;
  readonly targets: Int32Array;
  /** Sizes of the groups; undefined where none are named. */
  readonly groups: readonly number[] | undefined;
  /** Inputs of the loss under their names, `weights` too where given. */
  readonly inputs: Readonly<Record<string, Float32Array | Float64Array | number>>;
}

export interface PackOptions {
  readonly inputs: Readonly<Record<string, InputDeclaration>>;
  readonly groups?: readonly number[] | undefined;
  /** Whether inputs are kept in float64, for the device that computes so. */
  readonly double: boolean;
}

const WEIGHTS: InputDeclaration = { space: "token", dtype: "f32", default: 1 };

/** Checks the data against what the loss declares and copies them into packed arrays. Nothing of the caller's is read afterwards. */
export function packData(data: readonly Datum[], given: PackOptions): PackedData {
  checkData(data);
  const groups = checkGroups(given.groups, data.length) ?? undefined;
  const options = { ...given, groups };
  // Every loss has its targets, also one that declares them.
  const { target_tokens: _, ...others } = options.inputs;
  const declared: Record<string, InputDeclaration> = { weights: WEIGHTS, ...others };
  data.forEach((datum, i) => {
    for (const key of Object.keys(datum.lossFnInputs)) {
      if (key !== "target_tokens" && !Object.hasOwn(declared, key)) {
        const known = ["target_tokens", ...Object.keys(declared)].join(", ");
        throw new LosscError(
          "INPUT_UNKNOWN",
          `${at(i, key)} is no input of the loss: it takes ${known}. Leave it out of the data, or declare it in the loss`,
        );
      }
    }
  });
  const lengths = data.map((datum) => datum.modelInput.length);
  const inputs: Record<string, Float32Array | Float64Array | number> = Object.create(null);
  for (const [key, declaration] of Object.entries(declared)) {
    const packed = packInput(data, lengths, key, declaration, options);
    if (packed !== null) inputs[key] = packed;
  }
  return {
    batch: {
      tokens: packTokens(
        data.map((datum) => datum.modelInput),
        (i) => `data[${i}].modelInput`,
      ),
      lengths,
    },
    targets: packTokens(
      data.map((datum) => datum.lossFnInputs.target_tokens),
      (i) => at(i, "target_tokens"),
    ),
    groups,
    inputs,
  };
}

/** The own property of a datum under a name. Inherited properties such as "constructor" do not count. */
export function givenAs({ lossFnInputs }: Datum, key: string): Numbers | number | undefined {
  return Object.hasOwn(lossFnInputs, key) ? lossFnInputs[key] : undefined;
}

/** Whether a value of the caller's is taken as one number per token rather than one per sequence. */
export function isNumbers(value: unknown): value is Numbers {
  return Array.isArray(value) || isSound(value);
}

/** Refuses values that are not data, and targets whose length differs from the policy's input. */
export function checkData(data: readonly Datum[]): void {
  if (!Array.isArray(data)) throw new LosscError("INPUT_DTYPE", "data must be an array of { modelInput, lossFnInputs }");
  // forEach() would pass over a hole.
  for (const [i, datum] of data.entries()) {
    if (typeof datum !== "object" || datum === null)
      throw new LosscError(
        "INPUT_MISSING",
        `data[${i}] is ${describe(datum)}, no datum; give { modelInput, lossFnInputs }, or leave it out`,
      );
    const { modelInput, lossFnInputs }: Partial<Datum> = datum;
    if (modelInput === undefined) throw new LosscError("INPUT_MISSING", `data[${i}] has no modelInput`);
    if (!isNumbers(modelInput)) throw new LosscError("INPUT_DTYPE", `data[${i}].modelInput must be an array of tokens`);
    if (lossFnInputs === undefined || lossFnInputs === null)
      throw new LosscError("INPUT_MISSING", `data[${i}] has no lossFnInputs`);
    const targets: unknown = givenAs(datum, "target_tokens");
    if (targets === undefined) throw new LosscError("INPUT_MISSING", `data[${i}].lossFnInputs has no target_tokens`);
    if (!isNumbers(targets)) throw new LosscError("INPUT_DTYPE", `${at(i, "target_tokens")} must be an array of tokens`);
    if (targets.length !== modelInput.length) {
      const message = `${at(i, "target_tokens")} has ${targets.length} tokens, but data[${i}].modelInput has ${modelInput.length}`;
      throw new LosscError("INPUT_LENGTH", `${message}: there must be one target for each token that the policy reads`);
    }
  }
}

/** One input of the loss over all data; null where it is not given and has a default. */
function packInput(
  data: readonly Datum[],
  lengths: readonly number[],
  key: string,
  input: InputDeclaration,
  options: PackOptions,
) {
  const values = data.map((datum) => givenAs(datum, key));
  if (values.every((value) => value === undefined) && input.default !== undefined) return null;
  const filled = values.map((value, i) => {
    if (value !== undefined) return value;
    if (input.default !== undefined) return input.default;
    throw new LosscError("INPUT_MISSING", `data[${i}].lossFnInputs has no ${key}, which the loss needs`);
  });
  const make = (size: number) => (options.double ? new Float64Array(size) : new Float32Array(size));
  if (input.space === "entry") return shared(filled, key, make);
  const perToken = input.space === "token" || input.space === "vocab";
  const width = input.space === "vocab" ? rowWidth(values, lengths, key) : 1;
  filled.forEach((value, i) => {
    if (values[i] === undefined) return;
    if (perToken) checkArray(value, i, key, lengths[i] as number, width);
    else checkNumber(value, i, key);
  });
  if (input.space === "batch") return single(filled as number[], 0, data.length, key);
  if (perToken)
    return concatenate(
      filled,
      lengths.map((length) => length * width),
      make,
    );
  const numbers = filled as number[];
  const packed = input.space === "group" ? perGroup(numbers, key, options.groups) : numbers;
  const result = make(packed.length);
  result.set(packed);
  return result;
}

/** How many numbers each token has, as the first datum that has tokens says. */
function rowWidth(values: readonly (Numbers | number | undefined)[], lengths: readonly number[], key: string): number {
  const first = values.findIndex((value, i) => isNumbers(value) && (lengths[i] as number) > 0);
  if (first < 0) return 1;
  const [{ length: numbers }, tokens] = [values[first] as Numbers, lengths[first] as number];
  if (numbers > 0 && numbers % tokens === 0) return numbers / tokens;
  throw new LosscError(
    "INPUT_LENGTH",
    `${at(first, key)} has ${numbers} numbers, but data[${first}].lossFnInputs.target_tokens has ${tokens}: give as many for each token`,
  );
}

function concatenate<A extends Float32Array | Float64Array>(
  values: readonly (Numbers | number)[],
  lengths: readonly number[],
  make: (size: number) => A,
): A {
  const sizes = values.map((value, i) => (typeof value === "number" ? (lengths[i] as number) : value.length));
  const result = make(sizes.reduce((a, b) => a + b, 0));
  let offset = 0;
  values.forEach((value, i) => {
    const size = sizes[i] as number;
    if (typeof value === "number") result.fill(value, offset, offset + size);
    else result.set(value, offset);
    offset += size;
  });
  return result;
}

/** Every datum carries the number of its group; it must be the same in the whole group. */
function perGroup(values: readonly number[], key: string, groups: readonly number[] | undefined): number[] {
  if (values.length === 0) return [];
  if (groups === undefined) {
    throw new LosscError(
      "INPUT_MISSING",
      `${key} is one number for each group, but the call names no groups: pass { groups: [size, …] }`,
    );
  }
  let begin = 0;
  return groups.map((size) => {
    const value = single(values, begin, begin + size, key);
    begin += size;
    return value;
  });
}

function single(values: readonly number[], begin: number, end: number, key: string): number {
  const first = values[begin] ?? 0;
  for (let i = begin; i < Math.min(end, values.length); i++) {
    if (!Object.is(values[i], first)) {
      throw new LosscError(
        "INPUT_LENGTH",
        `${at(i, key)} is ${values[i]}, but data[${begin}] has ${first}: the loss wants one number for all of them`,
      );
    }
  }
  return first;
}

/** The numbers per vocabulary entry that every datum brings. */
function shared<A extends Float32Array | Float64Array>(
  values: readonly (Numbers | number)[],
  key: string,
  make: (size: number) => A,
): A {
  const [first] = values;
  values.forEach((value, i) => {
    if (!isNumbers(value))
      throw new LosscError("INPUT_DTYPE", `${at(i, key)} must be an array of numbers, one per vocabulary entry`);
    checkArray(value, i, key, value.length, 1);
    if (
      value === first ||
      (isNumbers(first) && value.length === first.length && Array.from(value).every((x, v) => Object.is(x, first[v])))
    )
      return;
    const message = `${at(i, key)} has other numbers than data[0]: the loss wants one list of them for the whole batch`;
    throw new LosscError("INPUT_LENGTH", message);
  });
  // Without data there is a row of one entry, which nothing reads.
  const numbers = isNumbers(first) ? first : [0];
  const result = make(numbers.length);
  result.set(numbers);
  return result;
}

function checkArray(value: unknown, datum: number, key: string, length: number, width: number): void {
  if (!isNumbers(value)) throw new LosscError("INPUT_DTYPE", `${at(datum, key)} must be an array of numbers, one per token`);
  if (value.length !== length * width) {
    const each = width > 1 ? `, ${width} numbers each as those before it` : "";
    throw new LosscError(
      "INPUT_LENGTH",
      `${at(datum, key)} has ${value.length} numbers, but data[${datum}].lossFnInputs.target_tokens has ${length}${each}`,
    );
  }
  for (let t = 0; t < value.length; t++) {
    if (typeof value[t] !== "number")
      throw new LosscError("INPUT_DTYPE", `${at(datum, key)}[${t}] is ${describe(value[t])}, not a number`);
  }
}

function checkNumber(value: unknown, datum: number, key: string): void {
  if (typeof value !== "number") {
    throw new LosscError(
      "INPUT_DTYPE",
      `${at(datum, key)} is ${describe(value)}, but the loss wants one number for each sequence`,
    );
  }
}

const LARGEST_TOKEN = 2 ** 31 - 1;

function packTokens(sequences: readonly Numbers[], name: (datum: number) => string): Int32Array {
  const result = new Int32Array(sequences.reduce((total, tokens) => total + tokens.length, 0));
  let offset = 0;
  sequences.forEach((tokens, i) => {
    for (let t = 0; t < tokens.length; t++) {
      const token: unknown = tokens[t];
      if (typeof token !== "number" || !Number.isInteger(token)) {
        throw new LosscError("INPUT_DTYPE", `${name(i)}[${t}] is ${describe(token)}, but a token is a whole number`);
      }
      if (Math.abs(token) > LARGEST_TOKEN)
        throw new LosscError("TARGET_OUT_OF_RANGE", `${name(i)}[${t}] is ${token}, which no vocabulary holds`);
      result[offset++] = token;
    }
  });
  return result;
}

function at(datum: number, key: string): string {
  return `data[${datum}].lossFnInputs.${key}`;
}
