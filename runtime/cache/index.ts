/** Compiled kernels on disk. The format of an entry is `lossc build`'s, too; folders and trust are the cache's alone. */
export type { CacheRequest } from "./entries.js";
export { type CacheEntry, type EntryNames, entryFile, readEntry } from "./entry.js";
export { cacheKey, defaultCache, KernelCache } from "./kernel-cache.js";
export { cacheRoot } from "./place.js";
