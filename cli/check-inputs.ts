/**
 * Holds the inputs of a run to those the job began with: positions and watermarks of one input mean nothing for another, and what
 * is added to an input that was read to its end would all be late.
 */
import { MillraceError } from "../runtime/base/errors.ts";
import type { UidSource } from "../runtime/connectors/open-sources.ts";
import { isRedriven } from "../runtime/connectors/redriven-source.ts";
import type { Ports } from "../runtime/ports/ports.ts";
import type { JobRecord } from "../runtime/snapshots/job-record.ts";

/** Throws `invalid`, naming what is missing or new. Nothing has been changed then. */
export async function checkInputs(
  sources: readonly UidSource[],
  record: JobRecord,
  ports: Pick<Ports, "source">,
  directory: string,
): Promise<void> {
  for (const { uid, known, found, growing } of await inputsOf(sources, record, ports)) {
    const missing = known.filter((shard) => !found.includes(shard));
    const added = growing ? [] : found.filter((shard) => !known.includes(shard));
    if (known.length === 0 || (missing.length === 0 && added.length === 0)) continue;
    const difference = [...missing.map((shard) => `no longer there: ${shard}`), ...added.map((shard) => `new: ${shard}`)].join(
      "; ",
    );
    const advice = "the state is of a run over other input, name that input again or another state directory";
    throw new MillraceError("invalid", `${advice}: ${directory}, source ${uid}, ${difference}`, { context: { operator: uid } });
  }
}

/** Whether a source that grows by whole shards (standard input: one for each run) has some the generation does not know. */
export async function hasNewInputs(
  sources: readonly UidSource[],
  record: JobRecord,
  ports: Pick<Ports, "source">,
): Promise<boolean> {
  if (record.topology.every(({ kind }) => kind !== "source")) return false;
  return (await inputsOf(sources, record, ports)).some(
    ({ known, found, growing }) => growing && found.some((shard) => !known.includes(shard)),
  );
}

interface Inputs {
  readonly uid: string;
  readonly known: readonly string[];
  readonly found: readonly string[];
  /** Each run may bring a new shard. */
  readonly growing: boolean;
}

async function inputsOf(
  sources: readonly UidSource[],
  record: JobRecord,
  ports: Pick<Ports, "source">,
): Promise<readonly Inputs[]> {
  const inputs: Inputs[] = [];
  for (const { uid, source } of sources) {
    const shards = await ports.source(uid).shards(source.name);
    const roots = record.topology.flatMap((topology) => topology.roots.get(uid) ?? []);
    // Dead letters that were given back are no input of their own.
    const known = roots.map(({ shard }) => shard as string).filter((shard) => !isRedriven(shard));
    const found = shards.flatMap(({ id, parents }) => (parents.length === 0 && !isRedriven(id) ? [id as string] : []));
    inputs.push({ uid, known, found, growing: !source.bounded });
  }
  return inputs;
}
