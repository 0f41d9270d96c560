/**
 * The tables of the embedded store, and how it knows itself.
 *
 * | table | one row per | written by | deleted |
 * |---|---|---|---|
 * | identity | store | its creation | never |
 * | entries | slot of a task's ring | Journal.write | overwritten after a round; Journal.forget |
 * | messages | name of a task's mailbox | Journal.post | overwritten by a higher version; Journal.withdraw, forget |
 * | pages | writer, operator and key group | Pages.put | Pages.delete |
 * | blobs, chunks | object; part of an object | Blobs.put | Blobs.delete, Blobs.put over it |
 * | shards | shard of a stream | createStream, splitShard, mergeShards | Log.deleteStream |
 * | records | record of a shard | Log.append | Log.trim, Log.deleteStream |
 * | leases | lease | Leases.acquire | Leases.release |
 *
 * Y1 `user_version` is the format's version, `application_id` marks the file as ours; both are set with the tables, in one
 *    transaction.
 * Y2 Everything is in one file with one write-ahead log: what a power loss takes back, it takes back from all tables together.
 */
import type { DatabaseSync } from "node:sqlite";
import { MillraceError } from "../../base/errors.ts";

/** The version of the tables below. Whoever changes them raises it and says how older stores are brought up. */
export const formatVersion = 1;
/** "mill" in ASCII. */
const applicationId = 0x6d696c6c;

/** Values wider than a page spill: large ones get fewer, small commits stay cheap. By measurement, docs/decisions/embedded-store.md. */
const pageSizeBytes = 8192;

const tables = `
CREATE TABLE identity (job TEXT NOT NULL, ring_size INTEGER NOT NULL);
CREATE TABLE entries (
  task TEXT NOT NULL, slot INTEGER NOT NULL, seq INTEGER NOT NULL, attempt TEXT NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (task, slot)
);
CREATE UNIQUE INDEX entries_by_seq ON entries (task, seq);
CREATE TABLE messages (
  task TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (task, name)
);
CREATE TABLE pages (
  writer TEXT NOT NULL, operator TEXT NOT NULL, key_group INTEGER NOT NULL, version INTEGER NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY (writer, operator, key_group)
);
CREATE TABLE blobs (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size_bytes INTEGER NOT NULL, written_at INTEGER NOT NULL
);
CREATE TABLE chunks (blob INTEGER NOT NULL, n INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (blob, n));
CREATE TABLE shards (
  id INTEGER PRIMARY KEY, stream TEXT NOT NULL, name TEXT NOT NULL, range_from TEXT NOT NULL, range_to TEXT NOT NULL,
  parents TEXT NOT NULL, closed INTEGER NOT NULL, last INTEGER NOT NULL, trimmed_to INTEGER NOT NULL, UNIQUE (stream, name)
);
CREATE TABLE records (
  shard INTEGER NOT NULL, position INTEGER NOT NULL, partition_key TEXT NOT NULL, arrived_at INTEGER NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY (shard, position)
);
CREATE TABLE leases (
  name TEXT PRIMARY KEY, holder TEXT NOT NULL, pid INTEGER NOT NULL, host TEXT NOT NULL, until INTEGER NOT NULL
);
PRAGMA application_id = ${applicationId};
PRAGMA user_version = ${formatVersion};
`;

/** What a store remembers of whom it belongs to. */
export interface Identity {
  readonly job: string;
  readonly ringSize: number;
}

/** Throws `invalid` for a file that another program made, or a newer version of this one. Changes nothing. */
export function checkFormat(database: DatabaseSync, path: string): "new" | "known" {
  // In this order, since another process may be creating the store: whoever sees tables sees the marks that came with them.
  const { n: existing } = database.prepare("SELECT count(*) AS n FROM sqlite_schema").get() as { n: number };
  const application = readPragma(database, "application_id");
  const version = readPragma(database, "user_version");
  if (application === 0 && existing === 0) return "new";
  if (application !== applicationId) throw new MillraceError("invalid", `not a store of ours, choose another directory: ${path}`);
  if (version > formatVersion) {
    throw new MillraceError(
      "invalid",
      `written by a newer version, use that or another directory: ${path}, format ${version}, known up to ${formatVersion}`,
    );
  }
  return "known";
}

/** Sizes that can only be set on an empty file. */
export function prepareNew(database: DatabaseSync): void {
  database.exec(`PRAGMA page_size = ${pageSizeBytes}`);
}

/** Creates the tables. To be called inside a transaction. */
export function createTables(database: DatabaseSync, identity: Identity): void {
  database.exec(tables);
  database.prepare("INSERT INTO identity VALUES (?, ?)").run(identity.job, identity.ringSize);
}

/** Throws `corrupt` when the store does not say whom it belongs to. */
export function readIdentity(database: DatabaseSync, path: string): Identity {
  const row = database.prepare("SELECT job, ring_size AS ringSize FROM identity").get() as unknown as Identity | undefined;
  if (row === undefined) throw new MillraceError("corrupt", `the store does not say which job it belongs to: ${path}`);
  return { job: row.job, ringSize: row.ringSize };
}

/** The bytes of one page of the file. */
export function readPageSize(database: DatabaseSync): number {
  return readPragma(database, "page_size");
}

function readPragma(database: DatabaseSync, name: string): number {
  const row = database.prepare(`PRAGMA ${name}`).get() as Record<string, number>;
  return row[name]!;
}
