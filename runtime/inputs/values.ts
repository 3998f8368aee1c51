/** Values that a caller gave and that nothing is known of yet: plain arrays, and words for a message. */
import { strangerInWords } from "../../dsl/copies.js";
import { LosscError } from "../../dsl/errors.js";

export function isPlainArray(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

/** The elements of a plain array, each of which must be a number. */
export function numbersOf(array: readonly unknown[], name: string): Float64Array {
  const result = new Float64Array(array.length);
  for (let i = 0; i < array.length; i++) {
    const value = array[i];
    if (typeof value !== "number")
      throw new LosscError("INPUT_DTYPE", `${name}[${i}] is ${describe(value)}, not a number${wayOut(value)}.`);
    result[i] = value;
  }
  return result;
}

/** A value as it may stand in a message: short, and never an object's insides. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case "string":
      return value.length > 40 ? `a string of ${value.length} characters` : JSON.stringify(value);
    case "number":
    case "boolean":
      return String(value);
    case "bigint":
      return `${value}n`;
    case "undefined":
      return "undefined";
    case "object": {
      if (value === null) return "null";
      if (Array.isArray(value)) return "an array";
      const stranger = strangerInWords(value);
      if (stranger !== undefined) return stranger;
      const name: unknown = value.constructor?.name;
      return typeof name === "string" && name !== "" && name !== "Object" ? `a ${name}` : "an object";
    }
    default:
      return `a ${typeof value}`;
  }
}

function wayOut(value: unknown): string {
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return "; give one flat array, row after row";
  return value === undefined ? " (a hole in the array?)" : "";
}
