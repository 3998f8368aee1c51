/** Abort signals, and tasks that they end. */
import { LosscError } from "../../dsl/errors.js";

/** Throws `ABORTED` where the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted) throw abortedError(signal, what);
}

export function abortedError(signal: AbortSignal | undefined, what: string): LosscError {
  return new LosscError("ABORTED", `${what} was ended by its AbortSignal; the next call works as before.`, {
    cause: signal?.reason,
  });
}

/** The callbacks of one signal behind a single listener. Node warns of a leak when a signal has more than ten listeners. */
class AbortHub {
  static readonly #hubs = new WeakMap<AbortSignal, AbortHub>();
  readonly #waiting = new Set<{ readonly call: () => void }>();
  readonly #listener = () => this.#fire();

  private constructor(private readonly signal: AbortSignal) {
    signal.addEventListener("abort", this.#listener, { once: true });
  }

  static of(signal: AbortSignal): AbortHub {
    let hub = AbortHub.#hubs.get(signal);
    if (!hub) {
      hub = new AbortHub(signal);
      AbortHub.#hubs.set(signal, hub);
    }
    return hub;
  }

  add(call: () => void): () => void {
    const entry = { call };
    this.#waiting.add(entry);
    return () => {
      if (this.#waiting.delete(entry) && this.#waiting.size === 0) this.#close();
    };
  }

  #fire(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#close();
    for (const { call } of waiting) {
      try {
        call();
      } catch (error) {
        // An error of a listener does not keep the other listeners from running.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  #close(): void {
    this.signal.removeEventListener("abort", this.#listener);
    AbortHub.#hubs.delete(this.signal);
  }
}

/** Calls when the signal fires, or at once where it has fired. The function that is returned cancels the call. */
export function whenAborted(signal: AbortSignal | undefined, call: () => void): () => void {
  if (signal && !signal.aborted) return AbortHub.of(signal).add(call);
  if (signal) call();
  return () => {};
}

/** Settles as the promise does, but rejects with `ABORTED` as soon as the signal fires. */
export function withSignal<T>(promise: Promise<T>, signal: AbortSignal | undefined, what: string): Promise<T> {
  if (!signal) return promise;
  return new Promise<T>((resolve, reject) => {
    const leave = whenAborted(signal, () => reject(abortedError(signal, what)));
    promise.then(resolve, reject).finally(leave);
  });
}

/** A task that several callers wait for. It is aborted only when all of them have aborted. */
export class SharedTask<T> {
  readonly #controller = new AbortController();
  readonly promise: Promise<T>;
  #waiting = 0;

  constructor(work: (signal: AbortSignal) => Promise<T>) {
    this.promise = work(this.#controller.signal);
    // Callers see the failure through wait(). Without callers the rejection would be unhandled.
    this.promise.catch(() => {});
  }

  /** Whether every caller has aborted; a new caller must start another task. */
  get abandoned(): boolean {
    return this.#controller.signal.aborted;
  }

  async wait(signal: AbortSignal | undefined, what: string): Promise<T> {
    this.#waiting++;
    try {
      return await withSignal(this.promise, signal, what);
    } finally {
      if (--this.#waiting === 0 && signal?.aborted) this.#controller.abort(signal.reason);
    }
  }
}

/** Runs tasks one after the other, in order. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();

  /** A task whose signal fires while it waits is never started. A task that runs handles the signal itself. */
  run<T>(task: () => Promise<T>, signal?: AbortSignal, what = "The call"): Promise<T> {
    let started = false;
    const result = this.#last.then(() => {
      throwIfAborted(signal, what);
      started = true;
      return task();
    });
    this.#last = result.catch(() => {});
    if (!signal) return result;
    return new Promise<T>((resolve, reject) => {
      const leave = whenAborted(signal, () => {
        if (!started) reject(abortedError(signal, what));
      });
      result.then(resolve, reject).finally(leave);
    });
  }

  /** Settles when all tasks so far have settled. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
