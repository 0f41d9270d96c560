/**
 * Carries out what a DynamoDB sink's commits ask for, and takes back what lies beyond a restored checkpoint.
 *
 * Every row has, under the sink's version attribute, a map:
 *
 * | member | what                                                                                             |
 * |--------|--------------------------------------------------------------------------------------------------|
 * | `v`    | the version of the last write: (generation, offset + seq, n, place) as one number (row-version.ts) |
 * | `t`    | the task that wrote it                                                                           |
 * | `f`    | the version of the row's first write; none: a restore has found that the row was not there      |
 * | `u`    | the task of the first write, where it is another                                                 |
 * | `o`    | `<job>/<operator>`                                                                               |
 * | `d`    | true: a tombstone, the row is deleted                                                            |
 *
 * V1 A row is written over an older version alone, by one conditional put: repeating a write, at whatever time, changes nothing (R8).
 * V2 A deleted row stays as a tombstone, so that an older write finds a newer version there.
 * V3 A restore deletes the rows that were first written beyond the checkpoint, and lists those that were there and were written or deleted
 *    since: what they held at the checkpoint is known to nobody, the job writes them again as it goes on.
 */
import { MillraceError } from "../../base/errors.ts";
import { toAttribute, toAttributes } from "../../connectors/dynamodb/attribute.ts";
import { decodeTablePayload, type DynamodbSettings, type TableRow } from "../../connectors/dynamodb/dynamodb.ts";
import { isBeyond } from "../../connectors/restored.ts";
import { commitOfVersion, rowVersion } from "../../connectors/row-version.ts";
import type { SinkTarget } from "../../connectors/sink-target.ts";
import type { Restored, SinkEffect } from "../../ports/sink-driver.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { eachOf } from "../../connectors/each-of.ts";
import type { Item } from "./item-size.ts";
import type { Expression, RowTable } from "./row-table.ts";

/** Rows of one payload written at once. */
const writesAtOnce = 32;
/** A row that changes each time it is looked at: two who write it keep each other from it. */
const attemptsMax = 10;

/** A row that a restore could not put back: it was there at the checkpoint, and was written or deleted since. */
export interface ChangedRow {
  readonly key: Readonly<Record<string, unknown>>;
  readonly change: "written" | "deleted";
  readonly generation: number;
  readonly task: string;
  readonly seq: number;
}

export interface DynamoSinkOptions {
  readonly table: RowTable;
  readonly settings: DynamodbSettings;
  readonly job: string;
  readonly operator: string;
  readonly telemetry: Telemetry;
  /** Keeps the list of a restore's changed rows, under the same name however often: answers where it lies. */
  readonly keepList: (restored: Restored, rows: readonly ChangedRow[]) => Promise<string>;
}

/** What stands with a row. */
interface RowMark {
  readonly version: bigint;
  readonly task: string;
  readonly first: { readonly version: bigint; readonly task: string } | undefined;
  readonly owner: string;
  readonly deleted: boolean;
}

/** A write to be carried out. */
interface RowWrite {
  readonly row: TableRow;
  readonly key: Item;
  readonly item: Item;
  readonly version: bigint;
  readonly generation: number;
  readonly task: string;
}

export class DynamoSink implements SinkTarget {
  readonly #table: RowTable;
  readonly #settings: DynamodbSettings;
  readonly #owner: string;
  readonly #job: string;
  readonly #operator: string;
  readonly #telemetry: Telemetry;
  readonly #keepList: DynamoSinkOptions["keepList"];

  constructor({ table, settings, job, operator, telemetry, keepList }: DynamoSinkOptions) {
    this.#table = table;
    this.#settings = settings;
    this.#owner = `${job}/${operator}`;
    this.#job = job;
    this.#operator = operator;
    this.#telemetry = telemetry;
    this.#keepList = keepList;
  }

  async carryOut(effect: SinkEffect): Promise<void> {
    const { at, rows } = decodeTablePayload(effect.payload);
    const writes = rows.map((row, place) => this.#writeOf(effect, row, place, at));
    await eachOf(writes, writesAtOnce, (write) => this.#write(write));
  }

  /** May be repeated: what was deleted has a version of the new generation. */
  async quarantine(restored: Restored): Promise<void> {
    const changed: ChangedRow[] = [];
    let deleted = 0;
    for await (const page of this.#table.scan(this.#writtenSince(restored), [
      ...this.#settings.key,
      this.#settings.versionAttribute,
    ]))
      await eachOf(page, writesAtOnce, async (item) => {
        const outcome = await this.#takeBack(item, restored);
        if (outcome === "deleted") deleted++;
        else if (outcome !== "stays") changed.push(outcome);
      });
    if (deleted === 0 && changed.length === 0) return;
    const list = changed.length === 0 ? undefined : await this.#keepList(restored, inOrder(changed));
    this.#telemetry.add("sinkRowsTakenBack", deleted, { operator: this.#operator });
    this.#telemetry.add("sinkRowsChanged", changed.length, { operator: this.#operator });
    const message =
      "rows written beyond the restored checkpoint: those that were not there before are deleted, the others are listed";
    const fields = { operator: this.#operator, table: this.#table.name, deleted, changed: changed.length, list };
    this.#telemetry.log("warn", message, fields);
  }

  /** Throws `invalid` for a table that is not there, or has other keys. */
  async check(): Promise<void> {
    const keys = await this.#table.keys();
    const { key } = this.#settings;
    if (keys.join() === key.join()) return;
    const message = "the table's keys are not those of the sink, name them in the sink or make another table";
    throw new MillraceError("invalid", `${message}: ${this.#table.name} has ${keys.join(", ")}, the sink ${key.join(", ")}`, {
      context: { operator: this.#operator },
    });
  }

  #writeOf(effect: SinkEffect, row: TableRow, place: number, at: number): RowWrite {
    const { key, expiresAttribute, keepDeletedMs } = this.#settings;
    const item: Item = toAttributes(row.values, "") as Item;
    if (row.deleted && expiresAttribute !== undefined)
      item[expiresAttribute] = { N: String(Math.ceil((at + keepDeletedMs) / 1_000)) };
    const keys = Object.fromEntries(key.map((field) => [field, item[field]!]));
    const { task } = effect.as ?? effect;
    return { row, key: keys, item, version: rowVersion(effect, place), generation: effect.generation, task };
  }

  async #write(write: RowWrite): Promise<void> {
    const { row, key, version } = write;
    let stored = row.isNew ? undefined : await this.#table.get(key);
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const mark = stored && this.#markOf(stored);
      if (mark !== undefined && this.#isOver(write, mark)) return;
      if (await this.#table.put(this.#marked(write, stored, mark), this.#unchanged(stored, mark))) return;
      // Not there: it has expired between the two.
      stored = await this.#table.get(key);
    }
    throw new MillraceError(
      "unavailable",
      `a row is written by others without end, try again later: ${this.#table.name}, ${version}`,
    );
  }

  /** Whether a newer write, or this one, stands there. Throws for one of another generation or job, which this write may not pass by. */
  #isOver({ version, generation }: RowWrite, mark: RowMark): boolean {
    const context = { operator: this.#operator };
    if (!mark.owner.startsWith(`${this.#job}/`)) {
      const message = "another job writes rows of this table under the same keys: give each its own table";
      throw new MillraceError("invalid", `${message}: ${this.#table.name}, ${mark.owner}, ${this.#owner}`, { context });
    }
    const by = commitOfVersion(mark.version).generation;
    if (by > generation) {
      const message = `generation ${by} has taken over this table; for a new job, name another table or empty this one`;
      throw new MillraceError("fenced", `${message}: generation ${generation}, ${this.#table.name}`, { context });
    }
    return mark.version >= version;
  }

  #marked({ row, item, version, task }: RowWrite, stored: Item | undefined, mark: RowMark | undefined): Item {
    // What somebody else wrote was there before any checkpoint.
    const before = mark?.first ?? (stored !== undefined && mark === undefined ? { version: 0n, task } : undefined);
    const first = before ?? { version, task };
    return {
      ...item,
      [this.#settings.versionAttribute]: encodeMark({ version, task, first, owner: this.#owner, deleted: row.deleted }),
    };
  }

  /** The condition that the row is as it was found. */
  #unchanged(stored: Item | undefined, mark: RowMark | undefined): Expression {
    const { key, versionAttribute } = this.#settings;
    if (stored === undefined) return { text: "attribute_not_exists(#k)", names: { "#k": key[0]! } };
    if (mark === undefined) return { text: "attribute_not_exists(#m)", names: { "#m": versionAttribute } };
    return {
      text: "#m.#v = :v",
      names: { "#m": versionAttribute, "#v": "v" },
      values: { ":v": { N: String(mark.version) } },
    };
  }

  #writtenSince({ from, generation }: Restored): Expression {
    const lowest = (of: number) => ({ N: String(rowVersion({ generation: of, seq: 0, n: 0 }, 0)) });
    return {
      text: "#m.#o = :o AND #m.#v >= :from AND #m.#v < :to",
      names: { "#m": this.#settings.versionAttribute, "#o": "o", "#v": "v" },
      values: { ":o": { S: this.#owner }, ":from": lowest(from), ":to": lowest(generation) },
    };
  }

  async #takeBack(item: Item, restored: Restored): Promise<"stays" | "deleted" | ChangedRow> {
    const mark = this.#markOf(item);
    const commit = mark && { ...commitOfVersion(mark.version), task: mark.task };
    if (mark === undefined || commit === undefined || !isBeyond(commit, restored)) return "stays";
    const { first } = mark;
    const wasThere = first !== undefined && !isBeyond({ ...commitOfVersion(first.version), task: first.task }, restored);
    const key = Object.fromEntries(this.#settings.key.map((field) => [field, item[field]!]));
    if (wasThere) return { key: plainKey(key), change: mark.deleted ? "deleted" : "written", ...commit };
    const version = rowVersion({ generation: restored.generation, seq: 0, n: 0 }, 0);
    const tombstone = { version, task: mark.task, first: undefined, owner: this.#owner, deleted: true };
    const put = { ...key, [this.#settings.versionAttribute]: encodeMark(tombstone) };
    // The old generation is sealed and the new one waits: only another who restores the same may have been here.
    await this.#table.put(put, this.#unchanged(item, mark));
    return mark.deleted ? "stays" : "deleted";
  }

  /** Undefined for an item that no sink has written. */
  #markOf(item: Item): RowMark | undefined {
    const map = item[this.#settings.versionAttribute]?.M;
    if (map?.v?.N === undefined) return undefined;
    const task = map.t?.S ?? "";
    const first = map.f?.N === undefined ? undefined : { version: BigInt(map.f.N), task: map.u?.S ?? task };
    return { version: BigInt(map.v.N), task, first, owner: map.o?.S ?? "", deleted: map.d?.BOOL === true };
  }
}

function encodeMark({ version, task, first, owner, deleted }: RowMark): Item[string] {
  return toAttribute(
    {
      v: version,
      t: task,
      o: owner,
      ...(first !== undefined && { f: first.version }),
      ...(first !== undefined && first.task !== task && { u: first.task }),
      ...(deleted && { d: true }),
    },
    "",
  ) as Item[string];
}

function plainKey(key: Item): ChangedRow["key"] {
  return Object.fromEntries(Object.entries(key).map(([name, { S, N }]) => [name, S ?? Number(N)]));
}

/** By key, so that a list made again is the same. */
function inOrder(rows: readonly ChangedRow[]): readonly ChangedRow[] {
  const text = ({ key }: ChangedRow) => JSON.stringify(key);
  return rows.toSorted((a, b) => (text(a) < text(b) ? -1 : 1));
}
