import type { SourceRecord } from "../api/connector.ts";
import type { ShardId } from "../base/ids.ts";
import type { LogReader } from "../ports/log.ts";

/** What reads a source at run time, and can be closed: afterwards it must not be read. */
export interface SourceReader extends LogReader {
  /** Throws `invalid` when what it reads is not there, may not be read, or cannot be read as the job does. */
  check?(use: { readonly assumesKeys: boolean }): Promise<void>;
  /** What records hold that a mapping brought, as reading would have given it; undefined: themselves. */
  unpack?(stream: string, shard: ShardId, packed: readonly SourceRecord[]): Promise<readonly SourceRecord[]>;
  /** Records that came by another way, with the schemas that they name; undefined: they name none. */
  withSchemas?(records: readonly SourceRecord[]): Promise<readonly SourceRecord[]>;
  /** Of a shard whose data is compressed: how many bytes of that have been read. For showing how far it is; undefined: unknown. */
  compressedRead?(shard: ShardId): number | undefined;
  close(): Promise<void>;
}

/** What names begin with of what sources settle when a job begins (which objects they read), beside the job's state. */
export const settledPrefix = "sources/";
