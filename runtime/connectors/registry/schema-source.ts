/**
 * A source whose records name schemas of a registry: each is handed over with the schema that it names, so that decoding it needs nothing
 * but the record.
 *
 * G1 A record is handed over when its schema is there, or known not to be: then it is rejected, with the id that it names.
 * G2 A schema is fetched once and kept; that there is none is asked again after a minute.
 * G3 While the registry does not answer, nothing is handed over: the read fails and is repeated, and no record is lost.
 */
import type { SourceRecord, WriterSchema } from "../../api/connector.ts";
import type { Position, ShardId } from "../../base/ids.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ReadLimit, ReadResult } from "../../ports/log.ts";
import type { SchemaRegistry } from "../../ports/schema-registry.ts";
import { eachOf } from "../each-of.ts";
import { ForwardingReader } from "../forwarding-reader.ts";
import type { SourceReader } from "../source-reader.ts";
import type { RecordSchemas } from "./record-schemas.ts";

const schemasMax = 1_000;
const absentMs = 60_000;
/** Requests under way at once. */
const requestsMax = 8;

interface Known {
  readonly schema: WriterSchema | undefined;
  /** Epoch ms from which on it is asked for again. */
  readonly until: number;
}

export interface SchemaSourceOptions {
  readonly schemas: RecordSchemas;
  /** Opened when the first record needs it. */
  readonly open: () => Promise<SchemaRegistry>;
  readonly clock: Pick<Clock, "now">;
}

export class SchemaSource extends ForwardingReader {
  readonly #options: SchemaSourceOptions;
  #registry: Promise<SchemaRegistry> | undefined;
  readonly #known = new Map<string, Known>();

  constructor(inner: SourceReader, options: SchemaSourceOptions) {
    super(inner);
    this.#options = options;
  }

  override async read(stream: string, shard: ShardId, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    const result = await super.read(stream, shard, after, limit);
    return { ...result, records: await this.withSchemas(result.records) };
  }

  override async unpack(stream: string, shard: ShardId, records: readonly SourceRecord[]): Promise<readonly SourceRecord[]> {
    return this.withSchemas(await super.unpack(stream, shard, records));
  }

  override async withSchemas(records: readonly SourceRecord[]): Promise<readonly SourceRecord[]> {
    const { schemas } = this.#options;
    const ids = records.map(({ bytes, rejected }) => (rejected === undefined ? schemas.idOf(bytes) : undefined));
    const known = await this.#fetch(new Set(ids));
    return records.map((record, n) => {
      const schemaId = ids[n];
      if (schemaId === undefined) return record;
      const schema = known.get(schemaId);
      const { position, partitionKey, arrivalTime, bytes, text, header, delivery } = record;
      const plain = { position, partitionKey, arrivalTime, bytes, text, header, delivery };
      return schema === undefined ? { ...plain, rejected: this.#absent(schemaId) } : { ...plain, schema };
    });
  }

  async #fetch(ids: ReadonlySet<string | undefined>): Promise<ReadonlyMap<string, WriterSchema | undefined>> {
    const fetched = new Map<string, WriterSchema | undefined>();
    const named = [...ids].filter((id) => id !== undefined);
    await eachOf(named, requestsMax, async (id) => void fetched.set(id, await this.#schemaOf(id)));
    return fetched;
  }

  async #schemaOf(id: string): Promise<WriterSchema | undefined> {
    const now = this.#options.clock.now();
    const known = this.#known.get(id);
    if (known !== undefined && now < known.until) return known.schema;
    const registry = await (this.#registry ??= this.#open());
    const schema = await registry.schema(id);
    this.#known.delete(id);
    if (this.#known.size >= schemasMax) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(id, { schema, until: schema === undefined ? now + absentMs : Infinity });
    return schema;
  }

  /** One that could not be opened is opened anew. */
  async #open(): Promise<SchemaRegistry> {
    try {
      return await this.#options.open();
    } catch (error) {
      this.#registry = undefined;
      throw error;
    }
  }

  #absent(id: string): string {
    return `its schema is not in the registry: ${this.#options.schemas.registry.name}, ${id}`;
  }
}
