/**
 * Busy polling for short waits. A sleeping event loop takes some forty microseconds to wake, longer than a small batch runs. For a moment the loop is
 * therefore kept awake while a device works. Other callbacks of the loop run in between.
 */
import { availableParallelism } from "node:os";

/** Longest poll, in milliseconds. */
const POLL = 0.1;
/** Polling is used while the last work took less than this, in milliseconds. Longer work needs the core for itself. */
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
      this.#until = start + POLL;
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
