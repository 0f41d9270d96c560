/**
 * A source together with the dead letters that were given back to it: each giving is an object of the job's, `redrive/<uid>/<n>`, and reads
 * as one more shard of the source, closed, with positions of its own. So they pass through the source's format and chain as any record
 * does, exactly once, and a checkpoint knows how far they have come.
 *
 * V1 An object is written once and never changed. A generation that begins finds it among the shards that have no parents.
 */
import type { SourceRecord } from "../api/connector.ts";
import { corrupt } from "../base/byte-reader.ts";
import { MillraceError } from "../base/errors.ts";
import * as is from "../base/shape.ts";
import { type BlobName, id, type Position, type ShardId } from "../base/ids.ts";
import type { Blobs } from "../ports/blobs.ts";
import type { Clock } from "../ports/clock.ts";
import type { ReadLimit, ReadResult, Shard } from "../ports/log.ts";
import { ForwardingReader } from "./forwarding-reader.ts";
import type { SourceReader } from "./source-reader.ts";

/** What names of such shards begin with. */
const shardPrefix = "redrive-";
const digits = 6;
/** The whole hash space: which task they go to is decided by their keys. */
const range = { from: 0n, to: (1n << 128n) - 1n };

/** One dead letter that is given back. */
export interface RedrivenLetter {
  /** Its name among the dead letters: what was given back once is not again. */
  readonly id: string;
  /** When it was given back, epoch ms: what counts as its arrival. */
  readonly at: number;
  /** The original bytes, base64. */
  readonly bytes: string;
}

export function redrivePrefix(source: string): string {
  return `redrive/${encodeURIComponent(source)}/`;
}

/** Of all sources. */
export const redrivesPrefix = "redrive/";

export function redriveName(source: string, n: number): BlobName {
  return id<BlobName>(redrivePrefix(source) + String(n).padStart(digits, "0"));
}

/** The source, the number and the shard of an object's name. */
export function parseRedrive(name: string): { readonly source: string; readonly n: number; readonly shard: ShardId } | undefined {
  const match = /^redrive\/([^/]+)\/(\d+)$/.exec(name);
  if (match === null) return undefined;
  const source = decodeName(match[1]!);
  return source === undefined ? undefined : { source, n: Number(match[2]), shard: id<ShardId>(shardPrefix + match[2]!) };
}

function decodeName(name: string): string | undefined {
  try {
    return decodeURIComponent(name);
  } catch {
    return undefined;
  }
}

export function isRedriven(shard: string): boolean {
  return shard.startsWith(shardPrefix);
}

export function encodeRedrive(letters: readonly RedrivenLetter[]): Uint8Array {
  return Buffer.from(letters.map((letter) => `${JSON.stringify(letter)}\n`).join(""));
}

const letterShape = is.object({ id: is.text, at: is.time, bytes: is.text });

/** Throws `corrupt`. */
export function decodeRedrive(bytes: Uint8Array): readonly RedrivenLetter[] {
  const lines = Buffer.from(bytes).toString().split("\n");
  return lines.filter((line) => line !== "").map(parseLetter);
}

function parseLetter(line: string): RedrivenLetter {
  let letter: unknown;
  try {
    letter = JSON.parse(line);
  } catch (error) {
    throw corrupt("a dead letter that was given back is not JSON", error);
  }
  is.checkShape("a dead letter that was given back", letter, letterShape);
  return letter as RedrivenLetter;
}

export interface RedriveMemory {
  readonly clock: Pick<Clock, "now">;
  readonly ms: number;
}

export class RedrivenSource extends ForwardingReader {
  readonly #uid: string;
  readonly #blobs: Blobs;
  readonly #memory: RedriveMemory | undefined;
  #listed: { readonly at: number; readonly shards: readonly Shard[] } | undefined;

  /** `memory`: how long what was given back is remembered, where listing it costs. */
  constructor(uid: string, inner: SourceReader, blobs: Blobs, memory?: RedriveMemory) {
    super(inner);
    this.#uid = uid;
    this.#blobs = blobs;
    this.#memory = memory;
  }

  override async polled(shard: ShardId): Promise<boolean> {
    return isRedriven(shard) || super.polled(shard);
  }

  override async shards(stream: string): Promise<readonly Shard[]> {
    return [...(await super.shards(stream)), ...(await this.#redriven())];
  }

  override forgetShards(): void {
    this.#listed = undefined;
    super.forgetShards();
  }

  async #redriven(): Promise<readonly Shard[]> {
    const { clock, ms } = this.#memory ?? { clock: { now: () => 0 }, ms: 0 };
    const now = clock.now();
    if (this.#listed !== undefined && now >= this.#listed.at && now - this.#listed.at < ms) return this.#listed.shards;
    const { blobs } = await this.#blobs.list(redrivePrefix(this.#uid));
    const redriven = blobs.flatMap(({ name }) => parseRedrive(name)?.shard ?? []);
    const shards = redriven.map((shard) => ({ id: shard, range, parents: [], closed: true }));
    this.#listed = { at: now, shards };
    return shards;
  }

  override async read(stream: string, shard: ShardId, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    if (!isRedriven(shard)) return super.read(stream, shard, after, limit);
    const name = redriveName(this.#uid, Number(shard.slice(shardPrefix.length)));
    const bytes = await this.#blobs.get(name);
    if (bytes === undefined) throw new MillraceError("corrupt", `dead letters that were given back are gone: ${name}`);
    const read = readLetters(decodeRedrive(bytes), after, limit);
    return { ...read, records: await this.withSchemas(read.records) };
  }
}

/** Positions are the letters' places, from 1 on. */
function readLetters(letters: readonly RedrivenLetter[], after: Position | "horizon", limit: ReadLimit): ReadResult {
  const from = after === "horizon" ? 0 : Number(after);
  const records: SourceRecord[] = [];
  let bytesTaken = 0;
  for (let n = from; n < letters.length && records.length < limit.records && (n === from || bytesTaken < limit.bytes); n++) {
    const { at: arrivalTime, bytes: text } = letters[n]!;
    const bytes = Buffer.from(text, "base64");
    bytesTaken += bytes.length;
    records.push({ position: String(n + 1), partitionKey: "", arrivalTime, bytes });
  }
  const upTo = from + records.length;
  const next = upTo >= letters.length ? undefined : id<Position>(String(upTo));
  return { records, next, behindMs: letters.length - upTo, gap: false };
}
