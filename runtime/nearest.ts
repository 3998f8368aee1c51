/** Guesses what a misspelt name was meant to be. */

/** ` Did you mean "x"?` where one of the names is near enough, else the names there are. */
export function suggestion(name: string, names: readonly string[], what: string): string {
  const best = nearest(name, names);
  if (best !== null) return `Did you mean "${best}"?`;
  return names.length > 0 ? `${what}: ${names.join(", ")}.` : `${what}: none.`;
}

/** The name with the fewest edits to `name`, where they are no more than a third of its length; letter case and `_`/`-` count half. */
export function nearest(name: string, names: readonly string[]): string | null {
  let best: string | null = null;
  let least = Math.max(1, name.length / 3) + 0.001;
  for (const candidate of names) {
    const edits = distance(name, candidate);
    if (edits < least) [best, least] = [candidate, edits];
  }
  return best;
}

function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : plain(a[i - 1]) === plain(b[j - 1]) ? 0.5 : 1;
      row.push(Math.min((previous[j] as number) + 1, (row[j - 1] as number) + 1, (previous[j - 1] as number) + same));
    }
    previous = row;
  }
  return previous[b.length] as number;
}

function plain(letter: string | undefined): string {
  return (letter ?? "").toLowerCase().replace("-", "_");
}
