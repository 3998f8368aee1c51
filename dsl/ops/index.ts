/** Builders of nodes, for passes. */
export * from "./arithmetic.js";
export * from "./folds.js";
export * from "./functions.js";
export { opRow, opRows } from "./registry.js";
