/**
 * A record that stands before another of a reader's own. It forwards all that a record may have, each when it is asked for; whoever extends it
 * changes what it means to and loses nothing else.
 */
import type { Delivery, SourceRecord, WriterSchema } from "../api/connector.ts";

export abstract class ForwardedRecord implements Required<SourceRecord> {
  protected readonly inner: SourceRecord;

  constructor(inner: SourceRecord) {
    this.inner = inner;
  }
  get position(): string {
    return this.inner.position;
  }
  get partitionKey(): string {
    return this.inner.partitionKey;
  }
  get arrivalTime(): number {
    return this.inner.arrivalTime;
  }
  get bytes(): Uint8Array {
    return this.inner.bytes;
  }
  get text(): string | undefined {
    return this.inner.text;
  }
  get header(): string | undefined {
    return this.inner.header;
  }
  get schema(): WriterSchema | undefined {
    return this.inner.schema;
  }
  get rejected(): string | undefined {
    return this.inner.rejected;
  }
  get part(): number | undefined {
    return this.inner.part;
  }
  get delivery(): Delivery | undefined {
    return this.inner.delivery;
  }
}
