/**
 * Node's built-in SQLite, loaded without its experimental warning: Node prints one up to 24.14 and 25.6, and a user's terminal
 * should show the job's output only. All that is used here has been there since 22.15.
 */
import { MillraceError } from "../../base/errors.ts";

type Sqlite = typeof import("node:sqlite");

/** Throws `invalid` where Node was built without SQLite. */
export function loadSqlite(): Sqlite {
  const emitWarning = process.emitWarning;
  process.emitWarning = ((warning: string | Error, ...rest: unknown[]) => {
    if (!isSqliteWarning(warning)) Reflect.apply(emitWarning, process, [warning, ...rest]);
  }) as typeof process.emitWarning;
  try {
    const sqlite = process.getBuiltinModule("node:sqlite") as Sqlite | undefined;
    if (sqlite !== undefined) return sqlite;
  } finally {
    process.emitWarning = emitWarning;
  }
  throw new MillraceError("invalid", `this Node has no node:sqlite, use an official build of 22.15 or later: ${process.version}`);
}

function isSqliteWarning(warning: string | Error): boolean {
  return String(warning).includes("SQLite is an experimental feature");
}
