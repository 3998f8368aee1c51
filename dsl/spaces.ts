/**
 * Spaces: where a value lives. Each is finer than the next, and a coarser value meets a finer one by broadcasting.
 */
export const SPACES = ["vocab", "token", "sequence", "group", "batch"] as const;

/** The name of a space, from `"vocab"`, the finest, to `"batch"`. */
export type Space = (typeof SPACES)[number];

/** What a reduction folds away, and so the space that it folds. */
export const AXES = { vocab: "vocab", tokens: "token", sequences: "sequence", groups: "group" } as const satisfies Record<
  string,
  Space
>;

/** What a reduction may be told to fold away; without one it folds everything to a scalar. */
export type Axis = keyof typeof AXES;

/** Whether `a` is finer than `b`. */
export function isFiner(a: Space, b: Space): boolean {
  return SPACES.indexOf(a) < SPACES.indexOf(b);
}

/** The finest of the spaces: where an elementwise expression of them lives. */
export function finest(spaces: Iterable<Space>): Space {
  let result: Space = "batch";
  for (const space of spaces) if (isFiner(space, result)) result = space;
  return result;
}

/** The next coarser space. */
export function nextCoarser(space: Exclude<Space, "batch">): Space {
  return SPACES[SPACES.indexOf(space) + 1] as Space;
}
