/** What a journal entry holds, as checkers read it: whether it is whole and of its form is found out by those who go on from it. */
import { decodeEntry, entryForms, payloadOf } from "../../driver/journal-entry.ts";
import { ByteReader } from "../../base/byte-reader.ts";
import { readValue } from "../../base/message-pack.ts";
import type { Blobs } from "../../ports/blobs.ts";
import { type Commit, commitHeadBytes } from "../../state/commit.ts";

/** A commit without its rows. */
export type CommitRead = Omit<Commit, "rows">;

export async function readCommit(entry: Uint8Array, blobs: Pick<Blobs, "get">): Promise<CommitRead> {
  const name = entry[0] === entryForms.object ? payloadOf(entry) : undefined;
  const bytes = name === undefined ? entry : ((await blobs.get(name)) as Uint8Array);
  if (bytes[0] !== entryForms.plain) return decodeEntry(bytes);
  // After the head, and the format's version.
  return readValue(new ByteReader(bytes, commitHeadBytes + 1)) as CommitRead;
}
