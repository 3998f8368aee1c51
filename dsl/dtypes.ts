/** How numbers lie in memory: the dtypes that inputs of a loss and rows may have, in the order in which messages list them. */
export const DTYPES = ["f32", "bf16", "f16"] as const;

/** How the numbers of an input lie in memory; `"f32"` where nothing is said. */
export type InputDtype = (typeof DTYPES)[number];
