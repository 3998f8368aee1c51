/** A word on how a `*.loss.ts` is loaded, for programs that end because Node could not: Node's own message knows nothing of lossc. */
import { isLossFile } from "../dsl/rewritten.js";

/** Node's messages about a file that it cannot take: TypeScript before Node took it, and a `.js` that stands for a `.ts`. */
const CODES = ["ERR_UNKNOWN_FILE_EXTENSION", "ERR_MODULE_NOT_FOUND", "ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING"];

/** Words for an error that Node threw where it loaded a `*.loss.ts`; undefined for every other error. */
export function loadingHint(error: unknown): string | undefined {
  if (!(error instanceof Error) || !CODES.includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
  const file = error.message.match(/[^\s'"]+\.loss\.m?[jt]s/)?.[0];
  if (file === undefined || !isLossFile(file)) return undefined;
  return `lossc: ${file} was not loaded: the operators of a *.loss.ts are rewritten, so run the program with node --import lossc/register, through the plugin lossc/vite, or build the file with lossc build`;
}

process.on("uncaughtExceptionMonitor", (error) => {
  const hint = loadingHint(error);
  if (hint !== undefined) process.stderr.write(`${hint}\n`);
});
