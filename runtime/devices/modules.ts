/** The modules that a device has loaded: one per text, for as long as somebody uses it. */
import type { KernelText } from "../../codegen/emit/index.js";
import type { NativeModule } from "../addon/native.js";
import { SharedTask } from "../tasks/abort.js";
import type { LoadedModule } from "./device.js";
import { loadedModule } from "./launch.js";

/** A module that is used, until it is released. */
export interface ModuleLease {
  readonly module: LoadedModule;
  /** The last one that releases a module unloads it: when no program that uses it runs any more. Once more does nothing. */
  release(): void;
}

/** A module that is loaded, or about to be. */
interface Entry {
  readonly loading: SharedTask<NativeModule>;
  users: number;
}

export class Modules {
  readonly #entries = new Map<string, Entry>();

  /** `onEmpty` is called when the last module has gone. */
  constructor(
    private readonly make: (text: KernelText, signal: AbortSignal) => Promise<NativeModule>,
    private readonly onEmpty: () => void,
  ) {}

  /** How many are loaded, or about to be. */
  get size(): number {
    return this.#entries.size;
  }

  /** The module of a text, loaded where nobody uses it yet. */
  async lease(text: KernelText, signal?: AbortSignal): Promise<ModuleLease> {
    let entry = this.#entries.get(text.text);
    if (!entry || entry.loading.abandoned) {
      const made: Entry = { loading: new SharedTask((abort) => this.make(text, abort)), users: 0 };
      this.#entries.set(text.text, made);
      // The next lease tries again, even while others still wait for the failure.
      made.loading.promise.catch(() => this.#forget(text, made));
      entry = made;
    }
    const used = entry;
    used.users++;
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      if (--used.users > 0) return;
      this.#forget(text, used);
      // One that everybody has given up may be loaded all the same.
      used.loading.promise.then(
        (module) => module.dispose(),
        () => {},
      );
    };
    try {
      return { module: loadedModule(text, await used.loading.wait(signal, "The compilation")), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  #forget(text: KernelText, entry: Entry): void {
    if (this.#entries.get(text.text) !== entry) return;
    this.#entries.delete(text.text);
    if (this.#entries.size === 0) this.onEmpty();
  }

  /** Forgets all of them: the device is gone, and they with it. */
  clear(): void {
    this.#entries.clear();
  }
}

/** The leases of one owner. They hold no reference to the owner, so that it can be collected. */
export class Leases {
  readonly #held = new Set<ModuleLease>();

  add(lease: ModuleLease): void {
    this.#held.add(lease);
  }

  release(): void {
    for (const lease of this.#held) lease.release();
    this.#held.clear();
  }
}

const forgotten = new FinalizationRegistry<Leases>((leases) => leases.release());

/** Leases that are released when their owner has been collected, for an owner that nobody disposes of. */
export function leasesOf(owner: object): Leases {
  const leases = new Leases();
  forgotten.register(owner, leases);
  return leases;
}
