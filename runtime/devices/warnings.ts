/** One clear line on stderr, once per process. */

const said = new Set<string>();

export function warnOnce(message: string): void {
  if (said.has(message)) return;
  said.add(message);
  process.emitWarning(message, { type: "LosscWarning" });
}
