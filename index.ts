/** The exports of `lossc`. */
export * from "./dsl/index.js";
export * as losses from "./losses/index.js";
export * from "./runtime/index.js";
export * from "./runtime/training/index.js";
