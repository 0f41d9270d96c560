/** Records of a Kinesis stream as a mapping brings them, Base64 decoded already: an event of 200 bytes of JSON each. */
import type { SourceRecord } from "../../runtime/api/connector.ts";
import { generateEvents } from "../counts/events.ts";

export const eventBytes = 200;

/** So many turns of records, one behind the other, over so many keys, each made when it is asked for. Deterministic. */
export function* makeTurns(turns: number, records: number, keys: number): Generator<readonly SourceRecord[], void, void> {
  const events = generateEvents(turns * records, keys);
  for (let turn = 0; turn < turns; turn++)
    yield Array.from({ length: records }, (_, n) => {
      const { key, at } = events.next().value!;
      const place = turn * records + n;
      return { position: sequenceNumber(place), partitionKey: key, arrivalTime: at, bytes: encodeEvent(key, at, place) };
    });
}

/** JSON of 200 bytes: the key and the time, and what the job has no use for. */
export function encodeEvent(key: string, at: number, n: number): Buffer {
  const event = { id: n, key, page: `/shop/${(n * 7919) % 5000}`, at, tags: ["a", "b"], agent: "" };
  const left = eventBytes - Buffer.byteLength(JSON.stringify(event));
  return Buffer.from(
    JSON.stringify({ ...event, agent: "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 ".repeat(5).slice(0, left) }),
  );
}

/** Of as many digits as Kinesis gives. */
export function sequenceNumber(n: number): string {
  return `49${String(n).padStart(54, "0")}`;
}

/** The same records in the event of a mapping, whose data is Base64. */
export function eventOf(records: readonly SourceRecord[]) {
  return {
    Records: records.map(({ position, partitionKey, arrivalTime, bytes }) => ({
      eventSource: "aws:kinesis",
      eventSourceARN: "arn:aws:kinesis:us-east-1:000000000000:stream/events",
      eventID: `shardId-000000000000:${position}`,
      kinesis: {
        sequenceNumber: position,
        partitionKey,
        approximateArrivalTimestamp: arrivalTime / 1_000,
        data: Buffer.from(bytes).toString("base64"),
      },
    })),
  };
}
