/**
 * Short waits. An event loop that sleeps takes some forty microseconds to wake, which is more than a small batch computes: so for a moment it is kept
 * from sleeping while a device's thread is at work. Nothing is blocked: everything else that waits for the loop has its turn in between.
 */
import { availableParallelism } from "node:os";

/** How long the loop looks out, in milliseconds. */
const LOOKOUT = 0.1;
/** Work that was last answered within this is worth looking out for; what takes longer shall have the core. */
const SHORT = 0.25;

export class BusyPoll {
  #waiting = false;
  #until = 0;
  /** Of the last answer. */
  #taken = 0;

  /** `alone`: with one core the thread that is waited for could not run meanwhile. `now`: a clock, in milliseconds. */
  constructor(
    private readonly alone = availableParallelism() === 1,
    private readonly now = () => performance.now(),
  ) {}

  /** Settles as the work does. */
  async wait<T>(work: Promise<T>): Promise<T> {
    const start = this.now();
    if (!this.alone && this.#taken < SHORT) {
      this.#until = start + LOOKOUT;
      this.#waiting = true;
      setImmediate(this.#look);
    }
    try {
      return await work;
    } finally {
      this.#waiting = false;
      this.#taken = this.now() - start;
    }
  }

  readonly #look = (): void => {
    if (this.#waiting && this.now() < this.#until) setImmediate(this.#look);
  };
}
