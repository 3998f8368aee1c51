/**
 * Chance and the clock give another value at every call. When a loss is traced they give one, and the kernels keep it. A call of these is refused
 * while a loss is traced.
 */
import { LosscError } from "./errors.js";
import { callerPosition } from "./position.js";

let tracing = false;

/** Runs a loss on expressions. `UNSUPPORTED_SYNTAX` where it asks for a random number or the time, with the place. */
export function withoutChance<T>(run: () => T): T {
  if (tracing) return run();
  tracing = true;
  const undo: (() => void)[] = [];
  try {
    for (const [holder, key, value] of replacements()) undo.push(replaced(holder, key, value));
    return run();
  } finally {
    for (const one of undo.reverse()) one();
    tracing = false;
  }
}

type Replacement = readonly [holder: object, key: string, value: PropertyDescriptor];

function replacements(): Replacement[] {
  const { Date: clock, performance } = globalThis;
  const date: DateConstructor = new Proxy(clock, {
    apply: () => refuse("Date()", TIME),
    construct: (target, given, made): object =>
      given.length === 0 ? refuse("new Date()", TIME) : (Reflect.construct(target, given, made === date ? target : made) as Date),
    get: (target, key) => (key === "now" ? () => refuse("Date.now()", TIME) : Reflect.get(target, key)),
  });
  return [
    [Math, "random", { value: () => refuse("Math.random()", CHANCE) }],
    [globalThis, "Date", { value: date }],
    [performance, "now", { value: () => refuse("performance.now()", TIME) }],
    ...random(Object.getOwnPropertyDescriptor(globalThis, "crypto")),
  ];
}

/** Node loads `crypto` when it is first read, which takes longer than a loss to trace. */
function random(own: PropertyDescriptor | undefined): Replacement[] {
  if (own === undefined) return [];
  const { get: read } = own;
  const watched = () => {
    const found = (read === undefined ? own.value : read.call(globalThis)) as object;
    return new Proxy(found, {
      get(target, key) {
        if (key === "getRandomValues" || key === "randomUUID") return () => refuse(`crypto.${key}()`, CHANCE);
        const value: unknown = Reflect.get(target, key);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  };
  return [[globalThis, "crypto", { get: watched }]];
}

/** Puts another property in the place of one, where that can be done, and gives the way back. */
function replaced(holder: object, key: string, value: PropertyDescriptor): () => void {
  const own = Object.getOwnPropertyDescriptor(holder, key);
  const put = { configurable: true, enumerable: own?.enumerable ?? false, ...("value" in value && { writable: true }), ...value };
  if (own?.configurable === false || !Reflect.defineProperty(holder, key, put)) return () => {};
  return () => {
    if (own === undefined) Reflect.deleteProperty(holder, key);
    else Reflect.defineProperty(holder, key, own);
  };
}

const CHANCE =
  'draw it outside of the loss and declare an input, inputs: { noise: "token" }, or a config value that each call gives anew';
const TIME = "read it outside of the loss and declare a config value that each call gives anew, config: { time: 0 }";

function refuse(call: string, way: string): never {
  throw new LosscError(
    "UNSUPPORTED_SYNTAX",
    `${call} gives one number when the loss is traced, and every later call of the loss would use that same number: ${way}`,
    { position: callerPosition() },
  );
}
