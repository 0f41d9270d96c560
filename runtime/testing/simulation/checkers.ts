/** What a finished run is held against, independently of the engine: its outputs, and the objects its checkpoints refer to. */
import type { Change } from "../../api/changelog-stream.ts";
import type { BlobName } from "../../base/ids.ts";
import { decodeValue } from "../../base/message-pack.ts";
import { decodeManifest, isTombstone } from "../../snapshots/manifest.ts";
import { readReferences } from "../../snapshots/segment.ts";
import { alarmOf } from "./alarm-topology.ts";
import type { DeadlyPlace, SimRecord } from "./workload.ts";
import type { Outside } from "./sinks.ts";
import type { SinkWorld } from "./sink-world.ts";
import type { Topology } from "./topology.ts";
import type { World } from "./world.ts";

/** What has come out of a topology, and of what. */
export interface Outcome {
  readonly topology: Topology;
  readonly records: readonly SimRecord[];
  readonly sinks: Pick<SinkWorld, "list" | "table" | "deadLettersSeen">;
  /** Tables of an author's kind. */
  readonly outside?: Outside;
  fail(message: string): void;
}

/** What of a world's objects is held against what is known. */
export type Kept = Pick<World, "record" | "fail"> & {
  readonly blobs: Pick<World["blobs"], "get">;
};

/** C4 Exactly what a plain recomputation from all records gives has come out: nothing lost, nothing twice. */
export function checkOutputs(outcome: Outcome, when: string): void {
  const { topology, records, sinks, outside } = outcome;
  checkDeadLetters(outcome, when);
  const of = (place: DeadlyPlace | undefined) => records.filter(({ deadly }) => deadly === place);
  const expected = topology.expect(of(undefined), of("timer"));
  for (const [sink, rows] of expected.lists) {
    const wanted = rows.map((row) => JSON.stringify(row)).sort();
    const found = expected.changes?.has(sink) === true ? leftOf(outcome, sink) : sinks.list(sink);
    const needed = expected.some?.has(sink) === true ? without(wanted, without(wanted, found)) : wanted;
    compare(outcome, `rows of ${sink} ${when}`, needed, found);
  }
  for (const [sink, rows] of expected.tables) {
    const wanted = [...rows].map(([key, row]) => `${key} = ${JSON.stringify(row)}`).sort();
    const own = outside?.get(sink)?.rows;
    const held = own === undefined ? sinks.table(sink) : new Map([...own].map(([key, { row }]) => [key, JSON.stringify(row)]));
    const found = [...held].map(([key, row]) => `${key} = ${row}`).sort();
    compare(outcome, `table ${sink} ${when}`, wanted, found);
  }
}

/** The rows of a list of changes that are not taken back. */
function leftOf({ sinks, fail }: Outcome, sink: string): string[] {
  const left = new Map<string, number>();
  for (const text of sinks.list(sink)) {
    const { kind, value } = JSON.parse(text) as Change<unknown>;
    const row = JSON.stringify(value);
    left.set(row, (left.get(row) ?? 0) + (kind === "-U" || kind === "-D" ? -1 : 1));
  }
  for (const [row, n] of left) if (n < 0) fail(`C4: ${row} of ${sink} was taken back, and never given`);
  return [...left].flatMap(([row, n]) => Array<string>(Math.max(0, n)).fill(row)).sort();
}

/** C8 Exactly the records that kill, themselves or by their timers, are in the dead letters; again after a restore. */
function checkDeadLetters({ records, sinks, fail }: Outcome, when: string): void {
  const deadly = new Set(records.filter((record) => record.deadly !== undefined).map(({ id }) => id));
  const buried = new Set<number>();
  for (const { letters } of sinks.deadLettersSeen)
    for (const { bytes, reason } of letters) {
      const ids = idsOf(bytes, records);
      for (const id of ids) buried.add(id);
      if (!ids.some((id) => deadly.has(id))) fail(`C8: ${ids.join(" ")} is in the dead letters ${when}: ${reason}`);
    }
  for (const id of deadly) if (!buried.has(id)) fail(`C8: record ${id} is not in the dead letters ${when}`);
}

/** Of a source's record or a timer its JSON, of a frame's element its value, which may be of several records. */
export function idsOf(bytes: Uint8Array, records: readonly SimRecord[]): number[] {
  const value = bytes[0] === 0x7b ? JSON.parse(Buffer.from(bytes).toString()) : decodeValue(bytes);
  const { timer } = value as { timer?: { readonly key: string; readonly at: number } };
  if (timer === undefined) return [(value as SimRecord).id];
  return records.filter((record) => record.key === timer.key && alarmOf(record) === timer.at).map(({ id }) => id);
}

function compare({ fail }: Outcome, what: string, wanted: readonly string[], found: readonly string[]): void {
  const missing = without(wanted, found);
  const extra = without(found, wanted);
  if (missing.length === 0 && extra.length === 0) return;
  const show = (rows: readonly string[]) => `${rows.length} (${rows.slice(0, 3).join("; ")})`;
  fail(`C4: ${what}: missing ${show(missing)}, too much ${show(extra)}`);
}

/** The items of `a` that are not in `b`, each as often as it is missing. */
function without(a: readonly string[], b: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const item of b) left.set(item, (left.get(item) ?? 0) + 1);
  return a.filter((item) => {
    const n = left.get(item) ?? 0;
    left.set(item, n - 1);
    return n <= 0;
  });
}

/** C5 Every object that a retained checkpoint refers to is there. */
export async function checkObjects(world: Kept): Promise<void> {
  for (const { manifest } of world.record?.retained ?? []) {
    const bytes = await world.blobs.get(manifest);
    if (bytes === undefined) return world.fail(`C5: the manifest of a retained checkpoint is gone: ${manifest}`);
    const read = decodeManifest(bytes);
    if (isTombstone(read)) return world.fail(`C5: a retained checkpoint was abandoned: ${manifest}`);
    for (const { index } of read.tasks) {
      if (index === undefined) continue;
      const block = await world.blobs.get(index.blob, index);
      if (block === undefined) return world.fail(`C5: checkpoint ${manifest} has lost its index ${index.blob}`);
      for (const name of readReferences(block))
        if (!(await exists(world, name))) world.fail(`C5: checkpoint ${manifest} has lost ${name}`);
    }
  }
}

async function exists(world: Kept, name: BlobName): Promise<boolean> {
  return (await world.blobs.get(name, { offset: 0, length: 1 })) !== undefined;
}
