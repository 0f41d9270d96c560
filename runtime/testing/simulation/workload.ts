/** What flows through a simulated job: records, made in advance, and the source that reads them. */
import type { Source } from "../../api/connector.ts";
import type { SeededRandom } from "../../base/seeded-random.ts";

export interface SimRecord {
  /** Unique over all sources. */
  readonly id: number;
  readonly source: string;
  readonly key: string;
  /** Another key, of fewer values. */
  readonly group: string;
  readonly value: number;
  /** Event time, epoch ms: never late under `outOfOrdernessMs`. */
  readonly at: number;
  /** Whoever takes it in there dies of it. */
  readonly deadly: DeadlyPlace | undefined;
}

/** In the function that takes timestamps, in the first function behind the key, or in a timer that the record sets. */
export type DeadlyPlace = "timestamp" | "keyed" | "timer";

/** Called by the functions of a simulated job with every record: it may be the end of their process. */
export type Touch = (record: SimRecord, place: DeadlyPlace) => void;

/** How far records of one source may stand behind each other. */
export const outOfOrdernessMs = 40;

/** Records of each source in the order in which they are appended. */
export function createRecords(
  sources: readonly string[],
  count: number,
  poison: number,
  random: SeededRandom,
  places: readonly DeadlyPlace[] = ["timestamp", "keyed"],
): Map<string, SimRecord[]> {
  const keys = random.between(3, 14);
  const records = new Map<string, SimRecord[]>(sources.map((source) => [source, []]));
  for (let id = 0; id < count; id++) {
    const source = random.pick(sources);
    const own = records.get(source) as SimRecord[];
    const key = `k${random.int(keys)}`;
    const at = 10_000 + own.length * 10 + random.int(outOfOrdernessMs);
    const deadly = random.chance(poison) ? random.pick(places) : undefined;
    own.push({ id, source, key, group: `g${random.int(3)}`, value: random.between(1, 9), at, deadly });
  }
  return records;
}

export function encodeRecord(record: SimRecord): Uint8Array {
  return Buffer.from(JSON.stringify(record));
}

/** A stream of simulated records. */
export function simulatedSource(name: string): Source<SimRecord> {
  return {
    kind: "simulated",
    name,
    bounded: true,
    options: {},
    decode: ({ bytes }, target) => target.accept(JSON.parse(Buffer.from(bytes).toString()) as SimRecord),
  };
}
