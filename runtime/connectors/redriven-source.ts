/**
 * A source together with the dead letters that were given back to it: each giving is an object of the job's, `redrive/<uid>/<n>`, and reads
 * as one more shard of the source, closed, with positions of its own. So they pass through the source's format and chain as any record
 * does, exactly once, and a checkpoint knows how far they have come.
 *
 * V1 An object is written once and never changed. A generation that begins finds it among the shards that have no parents.
 * V2 What was put aside after the checkpoint that a generation begins from is left out from then on, since its record is read again: before the
 *    generation reads, an object `redrive-left/<uid>/<n>/<generation>` lists it.
 */
import type { SourceRecord } from "../api/connector.ts";
import { MillraceError } from "../base/errors.ts";
import { decodeJsonLines, encodeJsonLines } from "../base/json-lines.ts";
import * as is from "../base/shape.ts";
import { type BlobName, id, type Position, type ShardId } from "../base/ids.ts";
import { type Blobs, namesUnder } from "../ports/blobs.ts";
import type { Restored } from "../ports/sink-driver.ts";
import type { Clock } from "../ports/clock.ts";
import type { ReadLimit, ReadResult, Shard } from "../ports/log.ts";
import { taskInNames } from "./files/part-name.ts";
import { ForwardingReader } from "./forwarding-reader.ts";
import { isBeyond, type Published } from "./restored.ts";
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
  /** Of a record of a file: the line that names its fields. */
  readonly header?: string;
  /** The commit that put it aside, its task as it is called in names. */
  readonly by?: Published;
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

/** All that is left out of an object's letters lies under this. */
function leftPrefix(source: string, n: number): string {
  return `redrive-left/${encodeURIComponent(source)}/${String(n).padStart(digits, "0")}/`;
}

export function isRedriven(shard: string): boolean {
  return shard.startsWith(shardPrefix);
}

export function encodeRedrive(letters: readonly RedrivenLetter[]): Uint8Array {
  return encodeJsonLines(letters);
}

const publishedShape = is.object({ generation: is.count, task: is.text, seq: is.count });
const letterShape = is.object({
  id: is.text,
  at: is.time,
  bytes: is.text,
  header: is.optional(is.text),
  by: is.optional(publishedShape),
});

/** Throws `corrupt`. */
export function decodeRedrive(bytes: Uint8Array): readonly RedrivenLetter[] {
  return decodeJsonLines(bytes, "a dead letter that was given back", letterShape);
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
    const names = await namesUnder(this.#blobs, redrivePrefix(this.#uid));
    const redriven = names.flatMap((name) => parseRedrive(name)?.shard ?? []);
    const shards = redriven.map((shard) => ({ id: shard, range, parents: [], closed: true }));
    this.#listed = { at: now, shards };
    return shards;
  }

  override async leaveOut(restored: Restored): Promise<void> {
    await super.leaveOut(restored);
    for (const name of await namesUnder(this.#blobs, redrivePrefix(this.#uid))) {
      const redrive = parseRedrive(name);
      const bytes = redrive && (await this.#blobs.get(name));
      if (bytes === undefined) continue;
      const left = decodeRedrive(bytes).flatMap(({ id: letter, by }) =>
        by !== undefined && isBeyond(by, restored, taskInNames) ? [letter] : [],
      );
      const into = id<BlobName>(`${leftPrefix(this.#uid, redrive!.n)}${restored.generation}`);
      if (left.length > 0) await this.#blobs.put(into, Buffer.from(JSON.stringify(left)));
    }
  }

  async #leftOf(n: number): Promise<ReadonlySet<string>> {
    const left = new Set<string>();
    for (const name of await namesUnder(this.#blobs, leftPrefix(this.#uid, n))) {
      const bytes = await this.#blobs.get(name);
      for (const letter of bytes === undefined ? [] : decodeLeft(bytes)) left.add(letter);
    }
    return left;
  }

  override async read(stream: string, shard: ShardId, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    if (!isRedriven(shard)) return super.read(stream, shard, after, limit);
    const n = Number(shard.slice(shardPrefix.length));
    const name = redriveName(this.#uid, n);
    const bytes = await this.#blobs.get(name);
    if (bytes === undefined) throw new MillraceError("corrupt", `dead letters that were given back are gone: ${name}`);
    const read = readLetters(decodeRedrive(bytes), await this.#leftOf(n), after, limit);
    return { ...read, records: await this.withSchemas(read.records) };
  }
}

/** Positions are the letters' places, from 1 on. */
function readLetters(
  letters: readonly RedrivenLetter[],
  left: ReadonlySet<string>,
  after: Position | "horizon",
  limit: ReadLimit,
): ReadResult {
  const from = after === "horizon" ? 0 : Number(after);
  const records: SourceRecord[] = [];
  let bytesTaken = 0;
  let n = from;
  for (; n < letters.length && records.length < limit.records && (records.length === 0 || bytesTaken < limit.bytes); n++) {
    const { id: letter, at: arrivalTime, bytes: text, header } = letters[n]!;
    if (left.has(letter)) continue;
    const bytes = Buffer.from(text, "base64");
    bytesTaken += bytes.length;
    records.push({ position: String(n + 1), partitionKey: "", arrivalTime, bytes, ...(header !== undefined && { header }) });
  }
  const next = n >= letters.length ? undefined : id<Position>(String(n));
  return { records, next, behindMs: letters.length - n, gap: false };
}

const leftShape = is.listOf(is.text);

function decodeLeft(bytes: Uint8Array): readonly string[] {
  const left: unknown = JSON.parse(Buffer.from(bytes).toString());
  is.checkShape("what is left out of dead letters that were given back", left, leftShape);
  return left as readonly string[];
}
