/** Text with names of the user's in it, safe to show: characters that a terminal would obey, and those that XML may not hold, become escapes. */

const escaped = (c: string) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** Text of several lines. */
export function printable(text: string): string {
  return text.replace(/(?![\n\t])[\p{Cc}\p{Bidi_Control}\ufffe\uffff]/gu, escaped);
}

/** A name, which stays on its line. */
export function printableName(name: string): string {
  return printable(name).replace(/[\n\t\u2028\u2029]/g, escaped);
}
