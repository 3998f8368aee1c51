/** Which objects `defineLoss` has made, and where in the user's source. */
import { recognise } from "./copies.js";
import { LosscError, type SourcePosition } from "./errors.js";

const places = new WeakMap<object, SourcePosition | undefined>();

export function remember(definition: object, position: SourcePosition | undefined): void {
  places.set(definition, position);
}

export function isDefinition(value: object): boolean {
  return places.has(value);
}

recognise((value) => typeof value === "object" && value !== null && isDefinition(value));

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

/** The place where the loss was defined. Mistakes in its returned value are reported there. */
export function definedAt(definition: object): SourcePosition | undefined {
  return places.get(definition);
}

/** The same loss with other parts; its mistakes have the same place. */
export function redefined<Definition extends object>(definition: Definition, parts: Partial<Definition>): Definition {
  const made = Object.freeze({ ...definition, ...parts });
  remember(made, definedAt(definition));
  return made;
}

/** Mistakes of definitions that were put off, by the objects in the definitions' places. */
const mistakes = new WeakMap<object, LosscError>();
let puttingOff = false;

/**
 * From now on a mistake in a definition is thrown where the loss is used, and not where it is defined. A file with one wrong loss can be run, and
 * its other losses used. For the command line, which is asked for losses by their names.
 */
export function putMistakesOff(): void {
  puttingOff = true;
}

/** Makes a definition. Where mistakes are put off, a wrong one becomes an object that throws its mistake as soon as anything is read of it. */
export function putOff<Definition extends object>(make: () => Definition): Definition {
  try {
    return make();
  } catch (error) {
    if (!puttingOff || !(error instanceof LosscError)) throw error;
    return instead(error) as Definition;
  }
}

/** The mistake that a definition was made with. */
export function mistakeOf(value: unknown): LosscError | undefined {
  return typeof value === "object" && value !== null ? mistakes.get(value) : undefined;
}

function instead(mistake: LosscError): object {
  const value = new Proxy(
    {},
    {
      get(_, key) {
        // `await` of a module that exports it reads `then`: that is no use of the loss.
        if (typeof key === "symbol" || key === "then") return undefined;
        throw mistake;
      },
      ownKeys() {
        throw mistake;
      },
    },
  );
  mistakes.set(value, mistake);
  return value;
}
