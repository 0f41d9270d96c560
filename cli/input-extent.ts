/** How much of its input a job has read and how much is left, where that can be known without reading it. */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import type { Source } from "../runtime/api/connector.ts";
import type { ShardId } from "../runtime/base/ids.ts";
import { isGzip } from "../runtime/connectors/files/compression.ts";
import { isRedriven } from "../runtime/connectors/redriven-source.ts";
import type { ShardStanding } from "./standing.ts";

export interface InputRead {
  readonly read: number;
  readonly total: number;
  readonly unit: "bytes" | "records";
}

/** How long a shard is, as it is stored. */
interface Size {
  readonly size: number;
  /** Positions are of what it decompresses to. */
  readonly compressed: boolean;
}

/** Knows the extents of a job's inputs; asks the file system once for each. */
export class InputExtent {
  readonly #sources: ReadonlyMap<string, Source<any>>;
  readonly #compressedRead: (uid: string, shard: ShardId) => number | undefined;
  readonly #sizes = new Map<string, Size | undefined>();

  /** `compressedRead`: as the readers of the sources say. */
  constructor(
    sources: ReadonlyMap<string, Source<any>>,
    compressedRead: (uid: string, shard: ShardId) => number | undefined = () => undefined,
  ) {
    this.#sources = sources;
    this.#compressedRead = compressedRead;
  }

  /** Undefined when an extent is unknown: standard input, a generator without end, sources of two kinds. */
  measure(shards: readonly ShardStanding[]): InputRead | undefined {
    const kinds = new Set([...this.#sources.values()].map(({ kind }) => kind));
    if (kinds.size !== 1 || shards.length === 0) return undefined;
    const unit = kinds.has("generator") ? "records" : "bytes";
    let total = 0;
    let read = 0;
    for (const { source, shard, position } of shards) {
      if (isRedriven(shard)) continue;
      const found = this.#sizeOf(source, shard);
      if (found === undefined) return undefined;
      const { size, compressed } = found;
      total += size;
      if (position === "end") read += size;
      else if (position !== "start")
        read += Math.min(size, compressed ? (this.#compressedRead(source, shard as ShardId) ?? 0) : Number(position));
    }
    return { read, total, unit };
  }

  #sizeOf(uid: string, shard: string): Size | undefined {
    const name = `${uid}/${shard}`;
    if (!this.#sizes.has(name)) this.#sizes.set(name, sizeOfShard(this.#sources.get(uid)!, shard));
    return this.#sizes.get(name);
  }
}

function sizeOfShard({ kind, options }: Source<any>, shard: string): Size | undefined {
  const count = options.shards === 1 ? (options.count as number | undefined) : undefined;
  if (kind === "generator") return count === undefined ? undefined : { size: count, compressed: false };
  return kind === "files" ? sizeOfFile(shard, options.compression !== "none") : undefined;
}

function sizeOfFile(path: string, decompresses: boolean): Size | undefined {
  try {
    return { size: statSync(path).size, compressed: decompresses && startsAsGzip(path) };
  } catch {
    return undefined;
  }
}

function startsAsGzip(path: string): boolean {
  const file = openSync(path, "r");
  try {
    const head = Buffer.alloc(3);
    readSync(file, head, 0, 3, 0);
    return isGzip(head);
  } finally {
    closeSync(file);
  }
}
