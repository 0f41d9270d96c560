/**
 * Port: where schemas of records are kept under ids.
 *
 * Consistency needed: what an id has once stood for, it stands for always, so that it may be kept for ever.
 */
import type { WriterSchema } from "../api/connector.ts";

export interface SchemaRegistry {
  /** Undefined: there is none of this id. Throws `unavailable` where it can be asked again, `invalid` where it must be set up otherwise. */
  schema(id: string): Promise<WriterSchema | undefined>;
}
