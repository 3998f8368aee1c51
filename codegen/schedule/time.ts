/** When a kernel runs, as its place among the sweeps. */

export interface Time {
  /** The sweep that it is, or that it comes after; 0 before the first one. */
  readonly sweep: number;
  /** 0 of the sweep itself, then the steps after it by number. */
  readonly step: number;
  /** Kernels of one step, which would be too long as one, follow one another. A kernel that waits for one of them comes after them all. */
  readonly part: number;
}

export const START: Time = { sweep: 0, step: 0, part: 0 };

export const sweepTime = (sweep: number): Time => ({ sweep, step: 0, part: 0 });

/** The first step after a time. */
export const stepAfter = ({ sweep, step }: Time): Time => ({ sweep, step: step + 1, part: 0 });

/** Negative where a comes before b, 0 where they are one time. */
export const compareTimes = (a: Time, b: Time): number => a.sweep - b.sweep || a.step - b.step || a.part - b.part;

export const isBefore = (a: Time, b: Time): boolean => compareTimes(a, b) < 0;

export const later = (a: Time, b: Time): Time => (isBefore(a, b) ? b : a);
