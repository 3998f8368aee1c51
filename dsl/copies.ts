/**
 * Copies of lossc in one process: a package that is linked beside one that is installed, or one that a bundler has taken in beside the one that
 * Node loads. Each knows an expression by its own class, and takes those of another copy for foreign objects. The list of copies that all of them
 * share makes it possible to name that cause.
 */

interface Copy {
  /** URL of the folder of the language. */
  readonly place: string;
  /** Each says whether a value was made by this copy. */
  readonly makers: ((value: unknown) => boolean)[];
  /** Files whose operators are calls of this copy's functions. */
  readonly rewritten: Set<string>;
}

/** The state that the copies share, one for the process. Copies of other versions read it, too: its fields keep their meaning. */
interface ProcessState {
  readonly copies: Copy[];
  /** Ways from places on a stack to those of the sources, for loaders that map none themselves. */
  readonly stacks: Set<(stack: string) => string>;
  /** Files that stand on a stack with the places of the text that runs, and not with those of the source. */
  readonly unmapped: Set<string>;
}

const KEY = Symbol.for("lossc.process");
const holder = globalThis as { [KEY]?: ProcessState };
const shared: ProcessState = holder[KEY] ?? { copies: [], stacks: new Set(), unmapped: new Set() };
holder[KEY] = shared;

const own: Copy = { place: new URL(".", import.meta.url).href, makers: [], rewritten: new Set() };
shared.copies.push(own);

/** Gives the other copies a test for values that this copy made. */
export function recognise(isOurs: (value: unknown) => boolean): void {
  own.makers.push(isOurs);
}

/** Files whose operators are calls of this copy's functions, by the names that they have on a stack. */
export const rewrittenHere: Set<string> = own.rewritten;

/** Words for a value that another copy of lossc made; undefined for every other value. */
export function strangerInWords(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const other = shared.copies.find((copy) => copy !== own && copy.makers.some((isTheirs) => isTheirs(value)));
  return other && `what another copy of lossc in this process has made ${wayOut(other)}`;
}

/** Words for a file whose operators are calls of another copy's functions; undefined for every other file. */
export function rewrittenElsewhere(file: string): string | undefined {
  const other = shared.copies.find((copy) => copy !== own && copy.rewritten.has(file));
  return other && `the operators of this file are those of another copy of lossc in this process ${wayOut(other)}`;
}

function wayOut({ place }: Copy): string {
  const [theirs, ours] = [pathOf(place), pathOf(own.place)];
  const both = theirs === ours ? `${ours}, loaded twice` : `that of ${theirs}, beside ${ours}`;
  const vite = 'with Vite write resolve: { dedupe: ["lossc"] } and ssr: { external: ["lossc"] }';
  return `(${both}): let there be one; \`npm ls lossc\` lists those that are installed, and ${vite}`;
}

function pathOf(place: string): string {
  return decodeURIComponent(place.replace(/^file:\/\//, "").replace(/(\/dist)?\/dsl\/$/, ""));
}

/** Adds a way from places on a stack to those of the sources. The function that it returns takes it away again. */
export function mapStacks(map: (stack: string) => string): () => void {
  shared.stacks.add(map);
  return () => shared.stacks.delete(map);
}

/** Says whether a file stands on a stack with the places of its source. */
export function stackIsMapped(file: string, mapped: boolean): void {
  if (mapped) shared.unmapped.delete(file);
  else shared.unmapped.add(file);
}

/** A stack on which the file stands. Its places are those of the source where a loader has registered a way to them. */
export function mappedStack(stack: string, file: string): string {
  return shared.unmapped.has(file) ? [...shared.stacks].reduce((text, map) => map(text), stack) : stack;
}
