/**
 * Spaces: where a value lives. A space is a level (one value per token, sequence, group or batch) and at most one axis (one value per entry of a row
 * besides). Joining, broadcasting, its adjoint and reducing follow from the two alone, and are defined here and nowhere else.
 */

/** The levels, from the finest to the coarsest. */
export const LEVELS = ["token", "sequence", "group", "batch"] as const;
export type Level = (typeof LEVELS)[number];

/** The axis of a row of logits. */
export type RowAxis = "vocab";

interface Kind {
  readonly level: Level;
  readonly axis: RowAxis | null;
  /** Its elements, in texts. Of a row it is the axis as authors name it. */
  readonly plural: string;
  /** Its place in the order of operands that commute. A new space takes the next number, so that the kernels of other losses stay as they are. */
  readonly order: number;
}

const KINDS = {
  vocab: { level: "token", axis: "vocab", plural: "vocab", order: 4 },
  token: { level: "token", axis: null, plural: "tokens", order: 3 },
  sequence: { level: "sequence", axis: null, plural: "sequences", order: 2 },
  group: { level: "group", axis: null, plural: "groups", order: 1 },
  "sequence × vocab": { level: "sequence", axis: "vocab", plural: "sequences and entries", order: 7 },
  "group × vocab": { level: "group", axis: "vocab", plural: "groups and entries", order: 6 },
  entry: { level: "batch", axis: "vocab", plural: "entries", order: 5 },
  batch: { level: "batch", axis: null, plural: "batch", order: 0 },
} as const satisfies Record<string, Kind>;

/**
 * The name of a space: `"vocab"` is token × vocabulary, `"entry"` is batch × vocabulary. What lies between them comes about where an entry's value
 * meets one of a sequence or a group; it is never stored.
 */
export type Space = keyof typeof KINDS;
/** A space that inputs may have. */
export type InputSpace = Exclude<Space, `${string} × vocab`>;

/** The spaces that inputs may have, the finest first. */
export const SPACES: readonly InputSpace[] = ["vocab", "token", "sequence", "group", "entry", "batch"];
const ALL = Object.keys(KINDS) as readonly Space[];

/** A space that kernels visit and store element by element: all but rows of tokens. */
export type ElementSpace = Level | "entry";

/** The axes that a reduction may name, and what it names them in. */
export const AXES = { vocab: "vocab", tokens: "token", sequences: "sequence", groups: "group" } as const satisfies Record<
  string,
  Space
>;

/** The axis that a reduction folds away; without one it folds everything to a scalar. */
export type Axis = keyof typeof AXES;

export const levelOf = (space: Space): Level => KINDS[space].level;
export const pluralOf = (space: Space): string => KINDS[space].plural;
export const orderOf = (space: Space): number => KINDS[space].order;

/** Whether a value of that space has an entry for each entry of a row. */
export const isPerEntry = (space: Space): boolean => KINDS[space].axis !== null;

/** Whether a value of that space is one row per token, which a sweep visits. */
export const isRow = (space: Space): space is "vocab" => isPerEntry(space) && KINDS[space].level === "token";

/** The level whose elements one element of that level is made of; tokens are made of none. */
export const finerLevel = (level: Level): Level | null => LEVELS[LEVELS.indexOf(level) - 1] ?? null;

const spaceOf = (level: Level, axis: RowAxis | null): Space | undefined =>
  ALL.find((space) => KINDS[space].level === level && KINDS[space].axis === axis);

/** Whether a value of the coarser space is broadcast where it meets one of the finer. */
export function isFiner(fine: Space, coarse: Space): boolean {
  const [a, b]: readonly [Kind, Kind] = [KINDS[fine], KINDS[coarse]];
  return fine !== coarse && LEVELS.indexOf(a.level) <= LEVELS.indexOf(b.level) && (b.axis === null || a.axis === b.axis);
}

/** Whether a value of the second space has a value at each element of the first. */
export const reaches = (fine: Space, coarse: Space): boolean => fine === coarse || isFiner(fine, coarse);

/** Where an elementwise expression of values of these spaces lives: at the finest of their levels, with the axis that any of them has. */
export function join(spaces: Iterable<Space>): Space {
  let level: Level = "batch";
  let axis: RowAxis | null = null;
  for (const space of spaces) {
    const kind: Kind = KINDS[space];
    if (LEVELS.indexOf(kind.level) < LEVELS.indexOf(level)) level = kind.level;
    axis ??= kind.axis;
  }
  return spaceOf(level, axis) as Space;
}

/** The space that is left when the named axis of a value in `space` is folded away; null where it has no such axis next that can be. */
export function reduced(axis: Axis, space: Space): Level | null {
  if (AXES[axis] !== space && !(axis === "vocab" && space === "entry")) return null;
  const { level, axis: row }: Kind = KINDS[space];
  return row === null ? (LEVELS[LEVELS.indexOf(level) + 1] as Level) : level;
}

/**
 * The folds that lead from a space to a coarser one without entries, as the spaces that are reached one after the other: the axis of a row goes
 * first, for that is what a sweep folds. It is the adjoint of broadcasting.
 */
export function pathTo(from: Space, to: Space): readonly Level[] {
  const level = levelOf(from);
  const first = isPerEntry(from) ? [level] : [];
  return level === to ? first : [...first, levelOf(to)];
}
