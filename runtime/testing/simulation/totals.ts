/** Counts and sums that simulated jobs make, and their plain recomputation. */
import { combine, count, sum } from "../../api/aggregators.ts";
import { byKey, groupBy, startOf } from "./topology.ts";
import type { SimRecord, Touch } from "./workload.ts";

export const windowMs = 100;

export const totals = (touch: Touch) =>
  combine({
    n: count(),
    total: sum<SimRecord>((record) => {
      touch(record, "keyed");
      return record.value;
    }),
  });

export interface Total {
  readonly n: number;
  readonly total: number;
}

export interface WindowRow extends Total {
  readonly key: string;
  readonly start: number;
}

export function totalOf(records: readonly SimRecord[]): Total {
  return { n: records.length, total: records.reduce((total, record) => total + record.value, 0) };
}

export function windowRows(records: readonly SimRecord[], key: (record: SimRecord) => string): WindowRow[] {
  const windows = groupBy(records, (record) => `${key(record)} ${startOf(record.at, windowMs)}`);
  return [...windows.values()].map((group) => {
    const first = group[0] as SimRecord;
    return { key: key(first), start: startOf(first.at, windowMs), ...totalOf(group) };
  });
}

export interface KeyTotal extends Total {
  readonly key: string;
}

export const one = (record: SimRecord): KeyTotal => ({ key: record.key, n: 1, total: record.value });

export const touched = (touch: Touch) => (record: SimRecord) => {
  touch(record, "keyed");
  return one(record);
};

export const add = (a: KeyTotal, b: KeyTotal): KeyTotal => ({ key: a.key, n: a.n + b.n, total: a.total + b.total });

export function keyTotals(records: readonly SimRecord[]): Map<string, KeyTotal> {
  return new Map([...groupBy(records, byKey)].map(([key, own]) => [key, { key, ...totalOf(own) }]));
}

export function from(records: readonly SimRecord[], source: string): SimRecord[] {
  return records.filter((record) => record.source === source);
}
