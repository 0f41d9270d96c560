/**
 * The outside that simulated jobs write to, with the whole of its history, so that a restore takes back exactly what lies beyond its
 * checkpoint.
 *
 * W1 An object is written once under its name (generation, task, seq, n); a name that was taken back is not given again.
 * W2 A row is written over an older version alone: (generation, seq, n), compared in that order.
 * W3 A generation begins with exactly what was published up to the checkpoint it was restored from.
 *
 * C14 A row never goes back to an older version, and what is written for the first time is not refused as older by its own generation's.
 */
import type { OperatorUid, TaskId } from "../../base/ids.ts";
import type { DeadLetterBatch, Restored, SinkDriver, SinkEffect } from "../../ports/sink-driver.ts";
import type { TableRow } from "./sinks.ts";

/** Parts of W2 that can be left out, to show that it would be noticed. */
export type VersionPart = "check" | "generation" | "n";

interface Written {
  readonly name: string;
  readonly effect: SinkEffect;
  readonly value: unknown;
}

type Version = readonly [generation: number, seq: number, n: number];

interface Row {
  readonly key: string;
  version: Version;
  /** Undefined: deleted. */
  current: Written | undefined;
  readonly history: Written[];
}

class Target {
  readonly objects = new Map<string, Written>();
  readonly rows = new Map<string, Row>();
  /** Names that count, of all that were ever written. */
  alive = new Set<string>();
  /** By generation: what was alive when it began. */
  readonly startedWith = new Map<number, ReadonlySet<string>>();
}

export class SinkWorld implements SinkDriver {
  private readonly targets = new Map<string, Target>();
  private readonly skips: VersionPart | undefined;
  private readonly fail: (message: string) => void;
  /** Names of all writes of rows that have come. */
  private readonly seen = new Set<string>();
  readonly deadLettersSeen: DeadLetterBatch[] = [];

  private readonly decode: (payload: Uint8Array) => unknown;

  /** `decode`: of a payload a list of rows, or a row of a table. */
  constructor(fail: (message: string) => void, skips?: VersionPart, decode: (payload: Uint8Array) => unknown = fromJson) {
    this.fail = fail;
    this.skips = skips;
    this.decode = decode;
  }

  private target(operator: string): Target {
    let target = this.targets.get(operator);
    if (target === undefined) this.targets.set(operator, (target = new Target()));
    return target;
  }

  async carryOut(effect: SinkEffect): Promise<void> {
    const target = this.target(effect.operator);
    const value = this.decode(effect.payload);
    const name = `${effect.generation}/${effect.task}/${effect.seq}/${effect.n}`;
    if (Array.isArray(value)) this.append(target, { name, effect, value });
    else this.upsert(target, { name, effect, value: (value as TableRow).value }, (value as TableRow).key);
  }

  private append(target: Target, written: Written): void {
    if (target.objects.has(written.name)) return;
    target.objects.set(written.name, written);
    target.alive.add(written.name);
  }

  private upsert(target: Target, written: Written, key: string): void {
    const { generation, seq, n } = written.effect.as ?? written.effect;
    const version: Version = [generation, seq, n];
    let row = target.rows.get(key);
    if (row === undefined) target.rows.set(key, (row = { key, version: [0, 0, 0], current: undefined, history: [] }));
    const refused = this.skips !== "check" && this.compare(version, row.version) <= 0;
    this.checkOrder(written, row, refused);
    if (refused) return;
    row.version = version;
    row.current = written;
    target.alive.add(written.name);
    if (!row.history.some(({ name }) => name === written.name)) row.history.push(written);
  }

  private checkOrder(
    { name, effect: { operator, generation, seq, n } }: Written,
    { key, version: held }: Row,
    refused: boolean,
  ): void {
    const write = `${operator} ${name}`;
    const again = this.seen.has(write);
    this.seen.add(write);
    if (refused && !again && generation >= held[0])
      this.fail(`C14: row ${key} at ${held.join("/")} refuses what is new: ${write}`);
    const older = generation - held[0] || seq - held[1] || n - held[2];
    if (!refused && older < 0) this.fail(`C14: row ${key} goes back from ${held.join("/")}: ${write}`);
  }

  private compare(a: Version, b: Version): number {
    if (a[0] !== b[0] && this.skips !== "generation") return a[0] - b[0];
    if (a[1] !== b[1]) return a[1] - b[1];
    return this.skips === "n" ? 0 : a[2] - b[2];
  }

  async deadLetters(batch: DeadLetterBatch): Promise<void> {
    this.deadLettersSeen.push(batch);
  }

  async quarantine(operator: OperatorUid, restored: Restored): Promise<void> {
    const target = this.target(operator);
    if (target.startedWith.has(restored.generation)) return;
    const before = target.startedWith.get(restored.from) ?? new Set<string>();
    const contains = ({ name, effect }: Written) => before.has(name) || isContained(effect, restored);
    target.alive = new Set([...target.objects.values()].filter(contains).map(({ name }) => name));
    for (const row of target.rows.values()) takeBack(row, contains, restored.generation, target.alive);
    target.startedWith.set(restored.generation, new Set(target.alive));
  }

  /** What counted as put out at a checkpoint, whatever came after it. */
  at({ from, lastSeq }: Pick<Restored, "from" | "lastSeq">): Pick<SinkWorld, "list" | "table"> {
    const containedIn = ({ startedWith }: Target) => {
      const before = startedWith.get(from);
      return ({ name, effect }: Written) => before?.has(name) === true || isContained(effect, { from, lastSeq });
    };
    return {
      list: (operator) => {
        const target = this.target(operator);
        const contained = [...target.objects.values()].filter(containedIn(target));
        return contained.flatMap(({ value }) => (value as unknown[]).map((row) => JSON.stringify(row))).sort();
      },
      table: (operator) => {
        const target = this.target(operator);
        const rows = [...target.rows.values()].map(
          ({ key, history }) => [key, newest(history.filter(containedIn(target)))] as const,
        );
        return new Map(rows.flatMap(([key, row]) => (isThere(row) ? [[key, JSON.stringify(row.value)] as const] : [])));
      },
    };
  }

  /** The rows that count in a list of rows, as text. */
  list(operator: string): string[] {
    return this.listed(operator)
      .map((row) => JSON.stringify(row))
      .sort();
  }

  /** The rows that count in a list of rows, in the order in which they were first written. */
  listed(operator: string): unknown[] {
    const target = this.target(operator);
    return [...target.objects.values()].flatMap(({ name, value }) => (target.alive.has(name) ? (value as unknown[]) : []));
  }

  /** The rows of a table, as text by key. */
  table(operator: string): Map<string, string> {
    return new Map([...this.tabled(operator)].map(([key, row]) => [key, JSON.stringify(row)]));
  }

  /** The rows of a table by key, but for those that were deleted. */
  tabled(operator: string): Map<string, unknown> {
    const rows = new Map<string, unknown>();
    for (const [key, { current }] of this.target(operator).rows) if (isThere(current)) rows.set(key, current.value);
    return rows;
  }

  /** The keys whose rows were deleted. */
  deleted(operator: string): readonly string[] {
    return [...this.target(operator).rows].flatMap(([key, { current }]) =>
      current !== undefined && !isThere(current) ? [key] : [],
    );
  }
}

function fromJson(payload: Uint8Array): unknown {
  return JSON.parse(Buffer.from(payload).toString()) as unknown;
}

/** A row that was deleted has no value. */
function isThere(row: Written | undefined): row is Written {
  return (row?.value ?? null) !== null;
}

function isContained({ generation, task, seq }: SinkEffect, { from, lastSeq }: Pick<Restored, "from" | "lastSeq">): boolean {
  return generation === from && seq <= (lastSeq.get(task as TaskId) ?? 0);
}

/** Puts a row back to its last value in the checkpoint, or leaves a tombstone: under a version above the older generations'. */
function takeBack(row: Row, contains: (written: Written) => boolean, generation: number, alive: Set<string>): void {
  const kept = row.history.filter(contains);
  for (const { name } of kept) alive.add(name);
  const last = newest(kept);
  if (last === row.current) return;
  row.current = last;
  row.version = [generation, 0, 0];
}

function newest(written: readonly Written[]): Written | undefined {
  return written.reduce<Written | undefined>((best, one) => (best === undefined || isNewer(one, best) ? one : best), undefined);
}

function isNewer({ effect: a }: Written, { effect: b }: Written): boolean {
  if (a.generation !== b.generation) return a.generation > b.generation;
  return a.seq !== b.seq ? a.seq > b.seq : a.n > b.n;
}
