/** How much of its input a job has read and how much is left, where that can be known without reading it. */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import type { Source } from "../runtime/api/connector.ts";
import { isGzip } from "../runtime/connectors/files/compression.ts";
import { isRedriven } from "../runtime/connectors/redriven-source.ts";
import type { ShardStanding } from "./standing.ts";

export interface InputRead {
  readonly read: number;
  readonly total: number;
  readonly unit: "bytes" | "records";
}

/** Knows the extents of a job's inputs; asks the file system once for each. */
export class InputExtent {
  readonly #sources: ReadonlyMap<string, Source<any>>;
  readonly #sizes = new Map<string, number | undefined>();

  constructor(sources: ReadonlyMap<string, Source<any>>) {
    this.#sources = sources;
  }

  /** Undefined when an extent is unknown: standard input, compressed files, a generator without end, sources of two kinds. */
  measure(shards: readonly ShardStanding[]): InputRead | undefined {
    const kinds = new Set([...this.#sources.values()].map(({ kind }) => kind));
    if (kinds.size !== 1 || shards.length === 0) return undefined;
    const unit = kinds.has("generator") ? "records" : "bytes";
    let total = 0;
    let read = 0;
    for (const { source, shard, position } of shards) {
      if (isRedriven(shard)) continue;
      const size = this.#sizeOf(source, shard);
      if (size === undefined) return undefined;
      total += size;
      read += position === "end" ? size : position === "start" ? 0 : Math.min(size, Number(position));
    }
    return { read, total, unit };
  }

  #sizeOf(uid: string, shard: string): number | undefined {
    const name = `${uid}/${shard}`;
    if (!this.#sizes.has(name)) this.#sizes.set(name, sizeOfShard(this.#sources.get(uid)!, shard));
    return this.#sizes.get(name);
  }
}

function sizeOfShard({ kind, options }: Source<any>, shard: string): number | undefined {
  if (kind === "generator") return options.shards === 1 ? (options.count as number | undefined) : undefined;
  return kind === "files" ? sizeOfFile(shard) : undefined;
}

function sizeOfFile(path: string): number | undefined {
  try {
    return startsAsGzip(path) ? undefined : statSync(path).size;
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
