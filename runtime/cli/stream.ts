/** Standard input and output. */
import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { usage } from "./usage.js";

/** The command's own, which `process.stdout` is no longer once a user's file may run. */
export const { stdout } = process;

let begun = false;
let failed = false;

/** Whether something was written: then a failure can no longer be all that stdout holds. */
export function hasBegun(): boolean {
  return begun;
}

/** Writes, and waits where the reader is slower than we are. */
export async function write(text: string): Promise<void> {
  // A fault of a user's file that has happened by now is reported before the result.
  if (!begun) await setImmediate();
  // The command has failed without this part of it, which ends here.
  if (failed) await new Promise(() => {});
  begun = true;
  if (!stdout.write(text)) await once(stdout, "drain");
}

/** Writes the last line of a command that failed. */
export function writeFailure(line: string): void {
  failed = true;
  stdout.write(line);
}

/** Settles when everything that was written is out. */
export async function flush(): Promise<void> {
  for (const stream of [stdout, process.stderr]) await new Promise<void>((resolve) => stream.write("", () => resolve()));
}

/** A text as JSON; a byte-order mark before it, as some editors and shells write, is skipped. `name` names the text in messages. */
export function parseJson(text: string | Buffer, name: string, advice = ""): unknown {
  try {
    return JSON.parse(text.toString().replace(/^\uFEFF/, ""));
  } catch (error) {
    throw usage(`${name} is no JSON: ${(error as Error).message}${advice}`, error);
  }
}

/** All of stdin as JSON. */
export async function readJson(): Promise<unknown> {
  if (process.stdin.isTTY) process.stderr.write("lossc: waiting for JSON on stdin (end it with Ctrl-D)\n");
  const pieces: Buffer[] = [];
  for await (const piece of process.stdin as AsyncIterable<Buffer>) pieces.push(piece);
  // A byte-order mark is white space to trim().
  if (pieces.every((piece) => piece.toString().trim() === ""))
    throw usage("stdin is empty: it must hold a case as JSON, see lossc eval --help");
  const bytes = Buffer.concat(pieces);
  // Of the first character in UTF-16 and UTF-32, which is ASCII in JSON, one byte is 0.
  if (/^(\xFF\xFE|\xFE\xFF|\0.|.\0)/s.test(bytes.toString("latin1", 0, 2)))
    throw usage("stdin is UTF-16 or UTF-32: write it as UTF-8, without a byte-order mark or with one");
  return parseJson(bytes, "stdin");
}

type Numbers = ArrayLike<number>;

function isNumbers(value: unknown): value is Numbers {
  return (ArrayBuffer.isView(value) && !(value instanceof DataView)) || (Array.isArray(value) && typeof value[0] === "number");
}

/** Numbers of a piece of text: enough to keep writes few, few enough to keep strings small. */
const PIECE = 8192;

/**
 * JSON text of a value in pieces, so that a gradient of millions of entries is never one string. A number that JSON cannot hold is
 * `"NaN"`, `"Infinity"` or `"-Infinity"`.
 */
export function* jsonText(value: unknown): Generator<string> {
  if (typeof value === "number") yield numberText(value);
  else if (isNumbers(value)) {
    yield "[";
    for (let start = 0; start < value.length; start += PIECE) {
      const end = Math.min(start + PIECE, value.length);
      let text = start === 0 ? "" : ",";
      for (let i = start; i < end; i++) text += (i === start ? "" : ",") + numberText(value[i] as number);
      yield text;
    }
    yield "]";
  } else if (Array.isArray(value)) {
    yield "[";
    for (const [index, item] of value.entries()) {
      if (index > 0) yield ",";
      yield* jsonText(item);
    }
    yield "]";
  } else if (typeof value === "object" && value !== null) {
    let separator = "{";
    for (const [key, item] of Object.entries(value)) {
      if (item === undefined) continue;
      yield `${separator}${JSON.stringify(key)}:`;
      yield* jsonText(item);
      separator = ",";
    }
    yield separator === "{" ? "{}" : "}";
  } else yield JSON.stringify(value);
}

function numberText(value: number): string {
  return Number.isFinite(value) ? String(value) : `"${value}"`;
}

/** Writes a value as JSON. Small pieces travel together. */
export async function writeJson(value: unknown): Promise<void> {
  let text = "";
  for (const piece of jsonText(value)) {
    text += piece;
    if (text.length < 1 << 16) continue;
    await write(text);
    text = "";
  }
  await write(text);
}

/** Lines with aligned columns. Further lines of the last column stand below its first. */
export function table(rows: readonly (readonly string[])[]): string {
  const columns = Math.max(...rows.map((row) => row.length)) - 1;
  const widths = Array.from({ length: columns }, (_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) => {
    const start = `  ${widths.map((width, column) => `${(row[column] ?? "").padEnd(width)}  `).join("")}`;
    return `${start}${row[columns]?.replaceAll("\n", `\n${" ".repeat(start.length)}`) ?? ""}\n`;
  });
  return lines.join("");
}
