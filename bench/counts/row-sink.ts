/** The sink of the counting jobs, and what becomes of its rows: bytes that are kept, and read back outside of what is timed. */
import { decodeValue, encodeValue } from "../../runtime/base/message-pack.ts";
import type { Sink } from "../../runtime/index.ts";
import type { SinkDriver } from "../../runtime/ports/sink-driver.ts";
import type { Checksum } from "./events.ts";

export type Row = readonly [key: string, start: number, n: number];

/** Rows as MessagePack in one payload a commit, as a sink that is cheap to write to would have them. */
export function rowSink(): Sink<Row> {
  let rows: (string | number)[] = [];
  return {
    kind: "rows",
    name: "rows",
    guarantee: "exactlyOnce",
    options: {},
    createWriter: () => ({
      add: (row: Row) => void rows.push(row[0], row[1], row[2]),
      flush: () => {
        const payloads = rows.length === 0 ? [] : [encodeValue(rows)];
        rows = [];
        return payloads;
      },
      state: () => undefined,
      restore: () => undefined,
    }),
  };
}

/** Keeps what is carried out. A dead letter ends the run: there is nothing wrong with the events. */
export class KeptRows implements SinkDriver {
  readonly #payloads: Uint8Array[] = [];

  carryOut: SinkDriver["carryOut"] = async ({ payload }) => void this.#payloads.push(payload);

  deadLetters: SinkDriver["deadLetters"] = async ({ letters }) => {
    throw new Error(`dead letter: ${letters[0]?.reason}`);
  };

  quarantine: SinkDriver["quarantine"] = async () => undefined;

  /** Adds up the rows that came since, and lets them go. */
  readBack(checksum: Checksum): Checksum {
    for (const payload of this.#payloads.splice(0)) {
      const flat = decodeValue(payload) as readonly (string | number)[];
      for (let i = 0; i < flat.length; i += 3) checksum.add(flat[i] as string, flat[i + 1] as number, flat[i + 2] as number);
    }
    return checksum;
  }
}
