/** Vectors: inputs with the losses and gradients that another system computed in float64. */
import { lossc } from "./lossc.js";

type Wire = number | "NaN" | "Infinity" | "-Infinity";

export interface Vector {
  readonly name: string;
  readonly loss: string;
  readonly config: Readonly<Record<string, number>>;
  readonly case: {
    readonly lengths: readonly number[];
    readonly vocab?: number;
    readonly logits?: readonly Wire[];
    readonly target_tokens?: readonly number[];
    readonly policy_logprobs?: readonly Wire[];
    readonly inputs: Readonly<Record<string, readonly Wire[]>>;
  };
  readonly expect: {
    readonly loss: number;
    readonly logprobs?: readonly Wire[];
    readonly grad_logits?: readonly Wire[];
    readonly grad_logprobs?: readonly Wire[];
  };
}

/** A vector in the shape in which it is run: its own, with more columns, or with more tokens. */
export interface Shaped {
  readonly vector: Vector;
  /** The entry of `--cases`, as text. */
  readonly text: string;
  /** Numbers in it: how much work it is. */
  readonly size: number;
  readonly vocab: number;
  /** Times that the vector's tokens are repeated. */
  readonly times: number;
}

function entry({ loss, config }: Vector, rest: Readonly<Record<string, unknown>>, logits: string | undefined): string {
  const fields = Object.entries(rest).map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  if (logits !== undefined) fields.push(`"logits":${logits}`);
  return `{"loss":${JSON.stringify(loss)},"config":${JSON.stringify(config)},"case":{${fields.join(",")}}}`;
}

export function plain(vector: Vector): Shaped {
  const { logits, ...rest } = vector.case;
  return {
    vector,
    text: entry(vector, rest, logits && JSON.stringify(logits)),
    size: logits?.length ?? 0,
    vocab: vector.case.vocab ?? 0,
    times: 1,
  };
}

/** With columns of -inf up to a vocabulary: entries that are not there. Not for vectors without rows. */
export function padded(vector: Vector, vocab: number): Shaped | undefined {
  const { logits, vocab: own, ...rest } = vector.case;
  if (logits === undefined || own === undefined || own > vocab) return undefined;
  const padding = ',"-Infinity"'.repeat(vocab - own);
  const rows: string[] = [];
  for (let start = 0; start < logits.length; start += own)
    rows.push(JSON.stringify(logits.slice(start, start + own)).slice(1, -1) + padding);
  return { vector, text: entry(vector, { ...rest, vocab }, `[${rows.join(",")}]`), size: rows.length * vocab, vocab, times: 1 };
}

/** The tokens again and again up to a count; what is left over gets weight 0. */
export function repeated(vector: Vector, count: number): Shaped {
  const { lengths, logits, inputs, vocab = 0, ...perToken } = vector.case;
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const times = Math.floor(count / tokens);
  const over = count - times * tokens;
  const again = <T>(values: readonly T[], rest: readonly T[]): T[] => [
    ...Array<readonly T[]>(times).fill(values).flat(),
    ...rest,
  ];
  const each = (values: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(
      Object.entries(values).map(([key, value]) => [key, again(value as Wire[], (value as Wire[]).slice(0, over))]),
    );
  const weights = again(inputs.weights ?? Array<number>(tokens).fill(1), Array<number>(over).fill(0));
  const shaped = {
    ...each(perToken),
    ...(vocab && { vocab }),
    lengths: again(lengths, [over]),
    inputs: { ...each(inputs), weights },
  };
  // As text: to write the same number a thousand times is most of the work.
  const rows = (values: readonly Wire[]) => JSON.stringify(values).slice(1, -1);
  const text =
    logits &&
    `[${[...Array<string>(times).fill(rows(logits)), rows(logits.slice(0, over * vocab))].filter((part) => part !== "").join(",")}]`;
  return { vector, text: entry(vector, shaped, text), size: count * vocab, vocab, times };
}

/** Runs vectors on a device through `lossc eval --cases`, some millions of numbers to a process, and says what is wrong with each. */
export async function mistakes(shaped: readonly Shaped[], device: string): Promise<string[]> {
  const found: string[] = [];
  let batch: Shaped[] = [];
  let size = 0;
  for (const [index, item] of shaped.entries()) {
    batch.push(item);
    size += item.size;
    if (size < 4_000_000 && index < shaped.length - 1) continue;
    found.push(...(await mistakesOf(batch, device)));
    batch = [];
    size = 0;
  }
  return found;
}

interface Answer {
  readonly error?: { readonly code: string; readonly message: string };
  readonly device: string;
  readonly loss: Wire;
  readonly logprobs: readonly Wire[];
  readonly grad_logits?: readonly Wire[];
  readonly grad_logprobs?: readonly Wire[];
}

async function mistakesOf(batch: readonly Shaped[], device: string): Promise<string[]> {
  const run = await lossc(["eval", "--cases", "--device", device], { stdin: `[${batch.map(({ text }) => text).join(",")}]` });
  if (run.code !== 0 || run.stderr !== "") return [`exit ${run.code}: ${run.stderr}`];
  const answers = JSON.parse(run.stdout) as Answer[];
  if (answers.length !== batch.length) return [`${answers.length} answers to ${batch.length} cases`];
  return batch.flatMap((shaped, i) => {
    const wrong = mistakeOf(shaped, answers[i] as Answer, device);
    return wrong === undefined ? [] : [`${shaped.vector.name} (V ${shaped.vocab}, ${shaped.times} times): ${wrong}`];
  });
}

function mistakeOf({ vector, vocab, times }: Shaped, answer: Answer, device: string): string | undefined {
  if (answer.error) return `${answer.error.code}: ${answer.error.message}`;
  if (answer.device !== device) return `ran on ${answer.device}`;
  const wanted = vector.expect;
  if (!within(answer.loss, wanted.loss * times, 0)) return `loss ${answer.loss}, wanted ${wanted.loss * times}`;
  const own = vector.case.vocab ?? 0;
  const tokens = vector.case.lengths.reduce((sum, length) => sum + length, 0);
  return (
    (wanted.logprobs && differs("logprobs", answer.logprobs, times * tokens, 1, (t) => wanted.logprobs?.[t % tokens] as Wire)) ??
    (wanted.grad_logprobs &&
      differs("grad_logprobs", answer.grad_logprobs, times * tokens, 1, (t) => wanted.grad_logprobs?.[t % tokens] as Wire)) ??
    (wanted.grad_logits &&
      differs("grad_logits", answer.grad_logits, times * tokens, vocab, (t, v) =>
        v < own ? (wanted.grad_logits?.[(t % tokens) * own + v] as Wire) : 0,
      ))
  );
}

function differs(
  name: string,
  values: readonly Wire[] | undefined,
  tokens: number,
  width: number,
  wanted: (token: number, entry: number) => Wire,
): string | undefined {
  if (values === undefined || values.length < tokens * width)
    return `${name} has ${values?.length} entries, wanted ${tokens * width}`;
  for (let t = 0; t < tokens; t++) {
    for (let v = 0; v < width; v++) {
      const value = values[t * width + v] as Wire;
      if (!within(value, wanted(t, v), 3e-6)) return `${name}[${t}, ${v}] is ${value}, wanted ${wanted(t, v)}`;
    }
  }
  return undefined;
}

function within(value: Wire, wanted: Wire, absolute: number): boolean {
  if (typeof value !== "number" || typeof wanted !== "number") return value === wanted;
  return Math.abs(value - wanted) <= 5e-5 * Math.abs(wanted) + absolute;
}
