/**
 * The AWS Glue Schema Registry: the package `millrace/glue`, apart from the rest since a job that does not use it should not carry its client.
 *
 * Sources: https://docs.aws.amazon.com/glue/latest/webapi/API_GetSchemaVersion.html
 */
import { GetSchemaVersionCommand, GlueClient } from "@aws-sdk/client-glue";
import type { WriterSchema } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import type { RegistryDeclaration } from "../../connectors/registry/record-schemas.ts";
import type { SchemaRegistry } from "../../ports/schema-registry.ts";
import { requestHandler } from "./aws-clients.ts";
import { awsError, isNamed } from "./aws-error.ts";

export interface GlueRegistryOptions {
  /** The logical name, bound on one machine with `--bind <name>=<directory>`. Default "schemas". */
  readonly name?: string;
  /** Default: made by the SDK's own settings. */
  readonly client?: () => GlueClient;
}

/** Records name the version of their schema by its UUID, so neither registry nor schema is named here. */
export function glueRegistry({ name = "schemas", client }: GlueRegistryOptions = {}): RegistryDeclaration {
  return {
    kind: "glue",
    name,
    open: async (bound) => {
      if (bound !== undefined)
        throw new MillraceError("invalid", `a Glue registry is bound to a directory of schemas, or not: ${name}, ${bound}`);
      return new GlueSchemas(client?.() ?? new GlueClient({ requestHandler: requestHandler() }));
    },
  };
}

/** What a schema version that is not there is called. */
const absent = ["EntityNotFoundException", "InvalidInputException"];

class GlueSchemas implements SchemaRegistry {
  readonly #client: GlueClient;

  constructor(client: GlueClient) {
    this.#client = client;
  }

  async schema(id: string): Promise<WriterSchema | undefined> {
    try {
      const { SchemaDefinition } = await this.#client.send(new GetSchemaVersionCommand({ SchemaVersionId: id }));
      return SchemaDefinition === undefined ? undefined : { id, definition: SchemaDefinition, references: [] };
    } catch (error) {
      if (isNamed(error, ...absent)) return undefined;
      throw awsError(error, `asking Glue for schema version ${id}`);
    }
  }
}
