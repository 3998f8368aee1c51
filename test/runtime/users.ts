/** Another user beside the one of the tests, for those that run as root. */
import { onTestFinished } from "vitest";

/** No files of the system's belong to this user. */
export const OTHER = 65534;

export const isRoot = process.geteuid?.() === 0;

/** Until the returned function is called the process is another user, of no group of root's. */
function change(user: number): () => void {
  const groups = process.getgroups?.() ?? [];
  process.setgroups?.([]);
  process.setegid?.(user);
  process.seteuid?.(user);
  return () => {
    process.seteuid?.(0);
    process.setegid?.(0);
    process.setgroups?.(groups);
  };
}

/** Until the test ends the process is the other user's. */
export function becomeOther(): void {
  onTestFinished(change(OTHER));
}

/** Until the work settles the process is the other user's. */
export async function asOther<T>(work: () => Promise<T>): Promise<T> {
  const back = change(OTHER);
  try {
    return await work();
  } finally {
    back();
  }
}
