/** Words for what somebody's code threw. */

/** `TypeError: x is not a function`, or the text of what is no error. Never throws, though what was thrown may have no text. */
export function thrownText(thrown: unknown): string {
  try {
    if (thrown instanceof Error) return `${thrown.name}: ${thrown.message}`;
    return String(typeof thrown === "object" ? JSON.stringify(thrown) : thrown);
  } catch {
    return "something that cannot be written as text";
  }
}
