/** Numbers and names as C++ text. */

/** A float as the shortest decimal that reads back as the same float32. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return "as_float(0x7fc00000u)";
  const f = Math.fround(value);
  if (!Number.isFinite(f)) return f > 0 ? "LOSSC_INFINITY" : "-LOSSC_INFINITY";
  for (let digits = 1; digits <= 9; digits++) {
    const text = f.toPrecision(digits);
    if (Math.fround(Number(text)) !== f) continue;
    const short = Object.is(f, -0) ? "-0" : String(Number(text));
    return /[.e]/.test(short) ? `${short}f` : `${short}.0f`;
  }
  return `${f}f`;
}

/** A user's name or text as it may stand in a comment: printable ASCII without what could end or continue the comment. */
export function commentText(name: string): string {
  let text = "";
  for (const c of name) {
    const next = /[A-Za-z0-9 _.:()+-]/.test(c) ? c : `\\u{${(c.codePointAt(0) as number).toString(16)}}`;
    // Cut between characters: half an escape would leave a backslash, which continues a comment on the next line.
    if (text.length + next.length > 120) break;
    text += next;
  }
  return text;
}
