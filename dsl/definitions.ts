/** Which objects `defineLoss` has made, and where in the user's source. */
import type { SourcePosition } from "./errors.js";

const places = new WeakMap<object, SourcePosition | undefined>();

export function remember(definition: object, position: SourcePosition | undefined): void {
  places.set(definition, position);
}

export function isDefinition(value: object): boolean {
  return places.has(value);
}

/**
 * Whether a value has the parts of a loss and was not made by `defineLoss`: a copy of a definition, or a declaration alone. What `defineLoss` made is
 * frozen, so that a frozen one comes from another instance of lossc.
 */
export function isUnmade(value: unknown): boolean {
  if (typeof value !== "object" || value === null || isDefinition(value) || Object.isFrozen(value)) return false;
  const { name, loss } = value as { readonly name?: unknown; readonly loss?: unknown };
  return typeof name === "string" && typeof loss === "function";
}

/** The way out of {@link isUnmade}, for messages. */
export const UNMADE =
  'only what defineLoss() returns is a loss, and a copy of it is none: give the copy to defineLoss(), as in defineLoss({ ...ppo, name: "mine" })';

/** Where the loss was defined: the place of mistakes in what it returns. */
export function definedAt(definition: object): SourcePosition | undefined {
  return places.get(definition);
}
