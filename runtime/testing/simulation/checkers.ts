/** What a finished run is held against, independently of the engine: its outputs, and the objects its checkpoints refer to. */
import type { BlobName } from "../../base/ids.ts";
import { decodeManifest, isTombstone } from "../../snapshots/manifest.ts";
import { readReferences } from "../../snapshots/segment.ts";
import type { World } from "./world.ts";

/** C4 Exactly what a plain recomputation from all records gives has come out: nothing lost, nothing twice. */
export function checkOutputs(world: World, when: string): void {
  const { settings, records, sinks } = world;
  if (sinks.deadLettersSeen.length > 0) world.fail(`C4: dead letters ${when}: ${sinks.deadLettersSeen[0]?.letters[0]?.reason}`);
  const expected = settings.topology.expect(records);
  for (const [sink, rows] of expected.lists) {
    const wanted = rows.map((row) => JSON.stringify(row)).sort();
    compare(world, `rows of ${sink} ${when}`, wanted, sinks.list(sink));
  }
  for (const [sink, rows] of expected.tables) {
    const wanted = [...rows].map(([key, row]) => `${key} = ${JSON.stringify(row)}`).sort();
    const found = [...sinks.table(sink)].map(([key, row]) => `${key} = ${row}`).sort();
    compare(world, `table ${sink} ${when}`, wanted, found);
  }
}

function compare(world: World, what: string, wanted: readonly string[], found: readonly string[]): void {
  const missing = without(wanted, found);
  const extra = without(found, wanted);
  if (missing.length === 0 && extra.length === 0) return;
  const show = (rows: readonly string[]) => `${rows.length} (${rows.slice(0, 3).join("; ")})`;
  world.fail(`C4: ${what}: missing ${show(missing)}, too much ${show(extra)}`);
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
export async function checkObjects(world: World): Promise<void> {
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

async function exists(world: World, name: BlobName): Promise<boolean> {
  return (await world.blobs.get(name, { offset: 0, length: 1 })) !== undefined;
}
