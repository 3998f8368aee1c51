/** How much, and from which seed: `LOSSC_SEED` (a number, or `random`), `LOSSC_GRAPHS` (how many times the usual number of graphs). */
const given = process.env.LOSSC_SEED;

/** The same graphs every time unless asked otherwise: a failure belongs to the change that made it. */
export const SEED = given === "random" ? Math.floor(Math.random() * 0x7fffffff) : Number(given ?? 20_261_123);

const factor = Number(process.env.LOSSC_GRAPHS ?? 1);

/** So many, times what `LOSSC_GRAPHS` says. */
export const many = (usual: number): number => Math.max(1, Math.round(usual * factor));
