/** Words for a value that a user's code threw, which need not be an error. */

/** `TypeError: x is not a function`; of a value that is no error, its text. Never throws, also where a value cannot be turned into text. */
export function thrownText(thrown: unknown): string {
  try {
    if (thrown instanceof Error) return `${thrown.name}: ${thrown.message}`;
    return String(typeof thrown === "object" ? JSON.stringify(thrown) : thrown);
  } catch {
    return "something that cannot be written as text";
  }
}
