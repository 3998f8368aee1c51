/** Which objects `defineLoss` has made, and where in the user's source. */
import type { SourcePosition } from "./errors.js";

const places = new WeakMap<object, SourcePosition | undefined>();

export function remember(definition: object, position: SourcePosition | undefined): void {
  places.set(definition, position);
}

export function isDefinition(value: object): boolean {
  return places.has(value);
}

/** Where the loss was defined: the place of mistakes in what it returns. */
export function definedAt(definition: object): SourcePosition | undefined {
  return places.get(definition);
}

/** The same loss with other parts; its mistakes have the same place. */
export function redefined<Definition extends object>(definition: Definition, parts: Partial<Definition>): Definition {
  const made = Object.freeze({ ...definition, ...parts });
  remember(made, definedAt(definition));
  return made;
}
