/** Sources of simulated jobs as objects on S3, each one's records in their order: read by the real reader. */
import type { Source } from "../../runtime/api/connector.ts";
import type { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { ndjson } from "../../runtime/connectors/formats/json.ts";
import { s3Objects } from "../../runtime/connectors/s3/s3-objects.ts";
import { encodeRecord, type SimRecord } from "../../runtime/testing/simulation/workload.ts";
import type { S3Service } from "./s3-service.ts";

/** In which they lie, of every source. */
export const objectBucket = "source-bucket";
const shards = 2;

/** Objects of some records each, those of a shard in the order of its records. */
export function putObjects(s3: S3Service, source: string, records: readonly SimRecord[], random: SeededRandom): void {
  for (let from = 0, n = 0; from < records.length; n++) {
    const part = records.slice(from, (from += random.between(1, 30)));
    const text = part.map((record) => `${Buffer.from(encodeRecord(record)).toString()}\n`).join("");
    s3.place(objectBucket, `${source}/${String(n).padStart(4, "0")}.ndjson`, Buffer.from(text));
  }
}

/** One that comes before all others by its name, and is no record's. */
export function addObject(s3: S3Service, source: string): void {
  s3.place(objectBucket, `${source}/0.ndjson`, Buffer.from("not read\n"));
}

/** In the place of a source that is simulated itself. */
export function objectSource(name: string): Source<SimRecord> {
  return s3Objects<SimRecord>({ bucket: objectBucket, prefix: `${name}/`, format: ndjson<SimRecord>(), shards });
}
