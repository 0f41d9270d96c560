/** Errors of the file system as errors that say what to do. */
import { resolve } from "node:path";
import { MillraceError, messageOf } from "../../base/errors.ts";

type Doing = "read" | "write";

const toChange: Readonly<Record<string, (doing: Doing) => string>> = {
  ENOENT: () => "no such file or directory: check the path",
  ENOTDIR: () => "a part of the path is a file: check the path",
  EISDIR: (doing) => (doing === "read" ? "it is a directory: name its files" : "it is a directory: name another path"),
  EACCES: (doing) => `no permission to ${doing}: change its mode or owner`,
  EPERM: (doing) => `no permission to ${doing}: change its mode or owner`,
  EROFS: () => "the file system is read-only: choose another path",
  ENAMETOOLONG: () => "the name is too long: choose a shorter path",
  EEXIST: () => "a file of this name is there: name a directory",
  ELOOP: () => "its links go round in a circle: check the path",
};

const toRetry: Readonly<Record<string, string>> = {
  ENOSPC: "no space left on the device: free some",
  EDQUOT: "the disk quota is used up: free some",
  EMFILE: "too many open files: raise the limit (ulimit -n)",
  ENFILE: "too many open files in the system: close some",
};

/** The error of a file operation: `invalid` where path or permission must be changed, else `unavailable`. */
export function fileError(error: unknown, path: string, doing: Doing): MillraceError {
  if (error instanceof MillraceError) return error;
  const code = errorCode(error) ?? "";
  const where = resolve(path);
  const change = toChange[code]?.(doing);
  if (change !== undefined) return new MillraceError("invalid", `cannot ${doing} a file: ${change}: ${where}`, { cause: error });
  const problem = toRetry[code] ?? messageOf(error);
  return new MillraceError("unavailable", `cannot ${doing} a file: ${problem}: ${where}`, { cause: error });
}

/** The system's code, such as ENOENT. */
export function errorCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}
