/** A turn from its records' bytes to its commit's bytes, beside decoding and parsing the same bytes and nothing else. */
import type { SourceRecord } from "../../runtime/api/connector.ts";
import { defaultEnvironment } from "../../runtime/driver/environment-options.ts";
import { decodeBatch } from "../../functions/kinesis-event.ts";
import { eventOf, makeTurns } from "./kinesis-records.ts";
import { openTurns } from "./turn-job.ts";

export const turnRecords = 10_000;
/** A minute of event time: each round closes one window of each key. */
const turnsPerRound = 60;

export interface TurnFigures {
  /** CPU ms of the engine and of the plain program per turn, of each round: the mean of the turns in which no window closes. */
  readonly rounds: readonly {
    readonly engine: number;
    readonly plain: number;
    readonly ratio: number;
    readonly withResults: number;
  }[];
  readonly commitKb: number;
  readonly results: string;
}

/** What a turn begins with: the records, or the event that they come in, whose data is Base64. */
export type TurnInput = "records" | "event";

/** Turns of both sides take turns, in one thread, whose CPU time is what counts. The first round does not count. */
export async function measureTurns(input: TurnInput, rounds: number, keys: number): Promise<TurnFigures> {
  const turns = makeTurns((rounds + 1) * turnsPerRound, turnRecords, keys);
  const engine = await openTurns(defaultEnvironment.payload);
  const figures: TurnFigures["rounds"][number][] = [];
  for (let round = 0; round <= rounds; round++) {
    const times: Times[] = [];
    for (let turn = 0; turn < turnsPerRound; turn++) {
      const records = turns.next().value!;
      const event = input === "event" ? (JSON.parse(JSON.stringify(eventOf(records))) as ReturnType<typeof eventOf>) : undefined;
      const { rows } = engine.readBack();
      const before = cpuMs();
      if (event === undefined) parseAll(records);
      else parseEvent(event);
      const between = cpuMs();
      await engine.take(event === undefined ? records : decodeBatch(event)!.records);
      const after = cpuMs();
      times.push({ engine: after - between, plain: between - before, isQuiet: engine.readBack().rows === rows });
    }
    if (round > 0) figures.push(roundOf(times));
  }
  return {
    rounds: figures,
    commitKb: engine.commitBytes / ((rounds + 1) * turnsPerRound) / 1024,
    results: engine.readBack().text,
  };
}

interface Times {
  readonly engine: number;
  readonly plain: number;
  /** No window closed. */
  readonly isQuiet: boolean;
}

/** Sums, since a thread's time may be counted in steps of some milliseconds. */
function roundOf(times: readonly Times[]): TurnFigures["rounds"][number] {
  const quiet = times.filter(({ isQuiet }) => isQuiet);
  const mean = (of: "engine" | "plain", turns: readonly Times[]) =>
    turns.reduce((total, turn) => total + turn[of], 0) / turns.length;
  const [engine, plain] = [mean("engine", quiet), mean("plain", quiet)];
  return { engine, plain, ratio: engine / plain, withResults: mean("engine", times) / mean("plain", times) };
}

export function median(list: readonly number[]): number {
  return list.toSorted((a, b) => a - b)[list.length >> 1]!;
}

/** Decode and JSON.parse: the values, of which nothing is made. Returns how many there are. */
function parseAll(records: readonly SourceRecord[]): number {
  let values = 0;
  for (const { bytes } of records) if (JSON.parse((bytes as Buffer).toString("utf8")) !== null) values++;
  return values;
}

function parseEvent({ Records }: ReturnType<typeof eventOf>): number {
  let values = 0;
  for (const { kinesis } of Records) if (JSON.parse(Buffer.from(kinesis.data, "base64").toString("utf8")) !== null) values++;
  return values;
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
