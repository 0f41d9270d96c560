/** What a failure of the embedded store means to whoever ran the job: which kind, and what to do. */
import { type ErrorKind, messageOf, MillraceError } from "../../base/errors.ts";

/** SQLite's primary result codes, https://www.sqlite.org/rescode.html */
const meanings: Readonly<Record<number, readonly [ErrorKind, string]>> = {
  3: ["invalid", "no permission to use the store, check who owns it"],
  5: ["unavailable", "another process keeps the store locked, try again"],
  6: ["unavailable", "another process keeps the store locked, try again"],
  8: ["invalid", "no permission to write to the store, check who owns it"],
  10: ["unavailable", "the store cannot be read or written, check the disk and try again"],
  11: ["corrupt", damaged()],
  13: ["unavailable", "no space is left for the store, nothing was written: free some and try again"],
  14: ["invalid", "the store cannot be opened, check the path and who owns it"],
  18: ["invalid", "too large for one record of the store"],
  26: ["corrupt", damaged()],
};

/** The error codes of the file system that a user can do something about. */
const fileMeanings: Readonly<Record<string, readonly [ErrorKind, string]>> = {
  EACCES: ["invalid", "no permission to write to the directory, check who owns it"],
  EPERM: ["invalid", "no permission to write to the directory, check who owns it"],
  EROFS: ["invalid", "the directory is on a read-only file system, choose another"],
  ENOENT: ["invalid", "the directory cannot be made there, check the path and that its file system can be written to"],
  EEXIST: ["invalid", "the path is a file, name a directory"],
  ENOTDIR: ["invalid", "the path leads through a file, name a directory"],
  ENOSPC: ["unavailable", "no space is left on the disk: free some and try again"],
  EDQUOT: ["unavailable", "no space is left on the disk: free some and try again"],
};

/** The MillraceError for anything thrown while the store at `path` was used; ours are passed through. */
export function storeError(error: unknown, path: string): MillraceError {
  if (error instanceof MillraceError) return error;
  const [kind, advice] = meaningOf(error) ?? (["internal", `the store failed, ${messageOf(error)}`] as const);
  return new MillraceError(kind, `${advice}: ${path}`, { cause: error });
}

/** True when another process holds the store's lock. */
export function isBusy(error: unknown): boolean {
  const code = primaryCode(error);
  return code === 5 || code === 6;
}

function meaningOf(error: unknown): readonly [ErrorKind, string] | undefined {
  const primary = primaryCode(error);
  if (primary !== undefined) return meanings[primary];
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? fileMeanings[code] : undefined;
}

function primaryCode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | null)?.errcode;
  return typeof code === "number" ? code & 0xff : undefined;
}

function damaged(): string {
  return "the store is damaged: put back a copy of it, or delete it and restore the job from a savepoint kept elsewhere";
}
