/**
 * Copies the state that a checkpoint refers to, for another job that begins from it.
 *
 * R6 No other attempt gives a copy's name. Tasks of a job that is there may be called as some of this one are, and who collects that job's
 *    garbage deletes what is of its tasks and referred to by nothing: what was copied before the record refers to it, and what was listed
 *    long before. So copies have names that are nobody's, and an index is written anew, which refers to them.
 */
import { MillraceError } from "../../runtime/base/errors.ts";
import type { BlobName } from "../../runtime/base/ids.ts";
import { together } from "../../runtime/driver/together.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import type { Manifest } from "../../runtime/snapshots/manifest.ts";
import { readIndex, SegmentWriter } from "../../runtime/snapshots/segment.ts";
import { type BlobRange, renameObjects } from "../../runtime/state/state-index.ts";
import type { JobPorts } from "../target/target.ts";

/** So many objects are copied at once. */
const atOnce = 8;

export interface CopiedState {
  /** Refers to the copies. */
  readonly manifest: Manifest;
  /** How many objects were written. */
  readonly objects: number;
}

/** `nameOf`: of the object of this number, from 1 on; the same copy has the same each time. Throws `unavailable` when one is gone. */
export async function copyState(
  from: JobPorts,
  into: Pick<Ports, "blobs">,
  manifest: Manifest,
  nameOf: (n: number) => BlobName,
): Promise<CopiedState> {
  let objects = 0;
  const copies = new Map<BlobName, BlobName>();
  const copyOf = (name: BlobName): BlobName => {
    const copy = copies.get(name) ?? nameOf(++objects);
    copies.set(name, copy);
    return copy;
  };
  const writeIndex = async (range: BlobRange): Promise<BlobRange> => {
    const index = renameObjects(readIndex(await read(from, range.blob, range)), copyOf);
    const { bytes, ranges } = new SegmentWriter(nameOf(++objects)).finish(index, { held: [] }, manifest.fingerprint);
    await into.blobs.put(ranges.index.blob, bytes);
    return ranges.index;
  };
  const tasks: Manifest["tasks"][number][] = [];
  for (const task of manifest.tasks)
    tasks.push(task.index === undefined ? task : { ...task, index: await writeIndex(task.index) });
  const all = [...copies];
  for (let at = 0; at < all.length; at += atOnce)
    await together(all.slice(at, at + atOnce).map(async ([name, copy]) => into.blobs.put(copy, await read(from, name))));
  return { manifest: { ...manifest, tasks }, objects };
}

async function read(from: JobPorts, name: BlobName, range?: BlobRange): Promise<Uint8Array> {
  const bytes = await from.blobs.get(name, range);
  if (bytes === undefined) throw goneMeanwhile(name);
  return bytes;
}

/** What a fork needs was collected before it was copied. */
export function goneMeanwhile(name: BlobName): MillraceError {
  return new MillraceError("unavailable", `the checkpoint was collected meanwhile, fork from a savepoint: ${name}`);
}
