/** What a format says of its records' schemas: data for the plan, and how the registry is opened where the records are read. */
import type { SchemaRegistry } from "../../ports/schema-registry.ts";

/** Made by `confluentRegistry`, `glueRegistry`; opens nothing yet. */
export interface RegistryDeclaration {
  readonly kind: "confluent" | "glue";
  /** The logical name, which can be bound on one machine to an address or to a directory of schemas. */
  readonly name: string;
  /** Asks for nothing yet. `bound`: what the name is bound to, unless that is a directory. Throws `invalid`. */
  open(bound: string | undefined): Promise<SchemaRegistry>;
}

export interface RecordSchemas {
  readonly registry: RegistryDeclaration;
  /** The id that the record names; undefined: it names none, and decoding it will say why. */
  idOf(bytes: Uint8Array): string | undefined;
}
