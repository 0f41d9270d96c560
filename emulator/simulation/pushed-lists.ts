/**
 * What lies in the streams and queues that a job's lists of rows were pushed to, held against what is promised of it: at least once, with
 * names by which repetitions are told.
 *
 * P1 Records of one name are the same.
 * P2 Of one task and one key, records come in their order, but for repetitions.
 * P3 Without repetitions, and without what a restore has gone back behind, all is there once.
 * P4 What a restore has gone back behind is what the job would have given as well.
 */
import type { Restored } from "../../runtime/ports/sink-driver.ts";
import { Lineage, type PutOutBy } from "./lineage.ts";

/** A record, in its order among those of its shard or queue. */
export interface PushedRow {
  /** Generation, task, commit and place there, by the name that the sink gave it. */
  readonly name: string;
  readonly key: string;
  readonly row: string;
}

interface Named extends PushedRow, PutOutBy {
  /** In its commit: of the effect, and in that. */
  readonly place: readonly number[];
}

export class PushedLists {
  /** By operator. */
  readonly #lineages = new Map<string, Lineage>();

  onQuarantine(operator: string, restored: Restored): void {
    this.#lineageOf(operator).onRestored(restored);
  }

  /** The rows that count, each once, in any order (P3). */
  rowsOf(operator: string, pushed: readonly PushedRow[]): string[] {
    const lineage = this.#lineageOf(operator);
    return withoutRepetitions(pushed).flatMap((one) => (lineage.counts(one) ? [one.row] : []));
  }

  /** What is wrong with them, beside what is missing or too much; undefined: nothing. `isExpected`: of a row that must come out. */
  problemOf(pushed: readonly PushedRow[], isExpected: (row: string) => boolean): string | undefined {
    const rows = new Map<string, string>();
    for (const { name, row } of pushed) {
      if ((rows.get(name) ?? row) !== row) return `P1: ${name} is ${rows.get(name)} and ${row}`;
      rows.set(name, row);
      if (!isExpected(row)) return `P4: ${row} was not to be written, by ${name}`;
    }
    const last = new Map<string, Named>();
    for (const one of withoutRepetitions(pushed)) {
      const lane = `${one.task} ${one.key}`;
      const before = last.get(lane);
      if (before !== undefined && isBefore(one, before))
        return `P2: ${one.name} comes after ${before.name}, both of key ${one.key}`;
      last.set(lane, one);
    }
    return undefined;
  }

  #lineageOf(operator: string): Lineage {
    let lineage = this.#lineages.get(operator);
    if (lineage === undefined) this.#lineages.set(operator, (lineage = new Lineage()));
    return lineage;
  }
}

function withoutRepetitions(pushed: readonly PushedRow[]): readonly Named[] {
  const seen = new Set<string>();
  return pushed.flatMap((one) => {
    if (seen.has(one.name)) return [];
    seen.add(one.name);
    return [named(one)];
  });
}

/** Names are "generation/task/…/commit/place", of streams with the operator before the commit, of queues with the effect behind it. */
function named(one: PushedRow): Named {
  const inStream = /^(\d+)\/(.+)\/[^/]+\/(\d+)\/(\d+)$/.exec(one.name);
  const inQueue = /^[\w-]+\/(\d+)\/(.+)\/(\d+)\/(\d+)\/(\d+)$/.exec(one.name);
  const [, generation, task, seq, ...place] = inQueue !== null && !/^\d/.test(one.name) ? inQueue : (inStream ?? []);
  if (task === undefined) throw new Error(`a pushed row has no name of a commit: ${one.name}`);
  return { ...one, generation: Number(generation), task, seq: Number(seq), place: place.map(Number) };
}

function isBefore(a: Named, b: Named): boolean {
  if (a.seq !== b.seq) return a.seq < b.seq;
  const at = a.place.findIndex((n, level) => n !== b.place[level]);
  return at >= 0 && a.place[at]! < b.place[at]!;
}
