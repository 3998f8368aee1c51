/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Global names in lossc's types. Where a program has the types of Node or of the DOM, these declarations add nothing to theirs; where it has neither,
 * the names are known all the same, so that lossc's types ask for no others.
 */

declare global {
  interface AbortSignal {}
  interface URL {}
}

export {};
