/**
 * The inbox of a stage over several streams, its cells: each has as many shards as the others, and cell c those of the c-th part of the
 * hash space. To the engine they are one stream.
 *
 * E1 Shard k of cell c of C cells with K open shards each has part c·K + k of C·K even parts of the hash space: the range of the task
 *    that it is the inbox of. So the streams' own hash ranges play no part but that a record goes into a shard by them.
 * E2 With one cell all is as in its stream: names of shards, ranges and hash keys.
 */
import { MillraceError } from "../../base/errors.ts";
import { id, type Position, type ShardId } from "../../base/ids.ts";
import type { AppendResult, Log, LogRecordToAppend, ReadLimit, ReadResult, Shard } from "../../ports/log.ts";
import { together } from "../../ports/together.ts";
import { fullRange, inRange, middleOf, splitEvenly } from "../../streaming/hash-range.ts";
import type { KinesisLog } from "./kinesis-log.ts";

/** The streams of an inbox, by their names in Kinesis. */
export type CellsOf = (stream: string) => readonly string[];

/** A shard as the engine has it, and where it is. */
interface Placed extends Shard {
  readonly cell: number;
  readonly own: Shard;
}

export class CelledLog implements Log {
  readonly #log: KinesisLog;
  readonly #cellsOf: CellsOf;
  /** Where records go, by stream; listed anew when shards were changed. */
  readonly #placed = new Map<string, readonly Placed[]>();

  /** `log` has streams under their own names. */
  constructor(log: KinesisLog, cellsOf: CellsOf) {
    this.#log = log;
    this.#cellsOf = cellsOf;
  }

  async shards(stream: string): Promise<readonly Shard[]> {
    const cells = this.#cellsOf(stream);
    if (cells.length === 1) return this.#log.shards(cells[0]!);
    return this.#list(stream);
  }

  read(stream: string, shard: ShardId, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    const cells = this.#cellsOf(stream);
    if (cells.length === 1) return this.#log.read(cells[0]!, shard, after, limit);
    const [cell, own] = shard.split("/");
    return this.#log.read(cells[Number(cell)]!, id<ShardId>(own!), after, limit);
  }

  async append(stream: string, records: readonly LogRecordToAppend[]): Promise<readonly AppendResult[]> {
    const cells = this.#cellsOf(stream);
    if (cells.length === 1) return this.#log.append(cells[0]!, records);
    const placed = this.#placed.get(stream) ?? (await this.#list(stream));
    const results = new Array<AppendResult>(records.length);
    const targets = records.map(({ hashKey }) => placeOf(placed, stream, hashKey));
    const sent = await Promise.allSettled(
      cells.map(async (name, cell) => {
        const places = [...records.keys()].filter((n) => targets[n]!.cell === cell);
        if (places.length === 0) return;
        const part = places.map((n) => toCell(records[n]!, targets[n]!));
        for (const [at, result] of (await this.#log.append(name, part)).entries())
          results[places[at]!] = result.outcome === "appended" ? { ...result, shard: shardIn(cell, result.shard) } : result;
      }),
    );
    // All have ended before any failure is passed on: nothing is left pending (L16).
    const failed = sent.find((part) => part.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    return results;
  }

  /** Gives the cells so many open shards together, while it may. Throws `invalid` unless they can have as many each. */
  async resize(stream: string, shards: number, mayGoOn?: () => Promise<boolean>): Promise<void> {
    const cells = this.#cellsOf(stream);
    if (shards % cells.length !== 0) {
      const advice = "each cell has as many tasks as the others: choose another parallelism or number of cells";
      throw new MillraceError("invalid", `${advice}: ${stream}, ${shards} tasks, ${cells.length} cells`);
    }
    for (const cell of cells) await this.#log.resize(cell, shards / cells.length, mayGoOn);
    this.#placed.delete(stream);
  }

  async #list(stream: string): Promise<readonly Placed[]> {
    const cells = await together(this.#cellsOf(stream).map((cell) => this.#log.shards(cell)));
    const open = cells.map((shards) => shards.filter(({ closed }) => !closed).toSorted(byRange));
    const each = open[0]!.length;
    if (open.some(({ length }) => length !== each)) {
      const counts = open.map(({ length }) => length).join(", ");
      throw new MillraceError(
        "unavailable",
        `the cells of an inbox have not the same number of shards, a restore is under way: ${stream}, ${counts}`,
      );
    }
    const parts = splitEvenly(each * cells.length);
    const placed = cells.flatMap((shards, cell) =>
      shards.map((own): Placed => {
        const place = open[cell]!.indexOf(own);
        const range = place < 0 ? fullRange : parts[cell * each + place]!;
        const parents = own.parents.map((parent) => shardIn(cell, parent));
        return { id: shardIn(cell, own.id), range, parents, closed: own.closed, cell, own };
      }),
    );
    this.#placed.set(stream, placed);
    return placed;
  }
}

/** The shard of a cell as the engine calls it: what comes from a cell's mapping must be called so too. */
export function shardIn(cell: number, shard: ShardId): ShardId {
  return id<ShardId>(`${cell}/${shard}`);
}

function byRange(a: Shard, b: Shard): number {
  return a.range.from < b.range.from ? -1 : 1;
}

function placeOf(placed: readonly Placed[], stream: string, hashKey: bigint): Placed {
  const place = placed.find(({ closed, range }) => !closed && inRange(range, hashKey));
  if (place === undefined) throw new MillraceError("invalid", `inbox ${stream} has no shard for hash key ${hashKey}`);
  return place;
}

/** The middle: it stays in the shard however its ends were rounded. */
function toCell(record: LogRecordToAppend, { own }: Placed): LogRecordToAppend {
  return { ...record, hashKey: middleOf(own.range) };
}
