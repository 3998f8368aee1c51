/** Compiled kernels on disk. `lossc build` shares the format of entries, but not the folders and the checks of trust. */
export type { CacheRequest } from "./entries.js";
export { type CacheEntry, type EntryNames, entryFile, readEntry } from "./entry.js";
export { cacheKey, defaultCache, KernelCache } from "./kernel-cache.js";
export { cacheRoot } from "./place.js";
