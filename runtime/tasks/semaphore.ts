/** A counting semaphore: at most so many tasks run at once, the others wait in order. */
import { throwIfAborted } from "./abort.js";

export class Semaphore {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(count: number) {
    this.#free = count;
  }

  /** Work whose signal fires while it waits is not begun. `what` is for the message. */
  async run<T>(work: () => Promise<T>, signal: AbortSignal, what: string): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      throwIfAborted(signal, what);
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}
