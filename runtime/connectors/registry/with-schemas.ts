/** Puts the registry before a source's decoder, where the source has one: whatever reads it. */
import { existsSync, statSync } from "node:fs";
import type { Source } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { bindingOf, type Bindings } from "../bindings.ts";
import type { SchemaDecoder } from "../formats/format.ts";
import type { SourceReader } from "../source-reader.ts";
import { DirectorySchemas } from "./directory-schemas.ts";
import type { RecordSchemas, RegistryDeclaration } from "./record-schemas.ts";
import { SchemaSource } from "./schema-source.ts";

/** The schemas that a source's records name; undefined: they name none. */
export function schemasOf(source: Source<any>): RecordSchemas | undefined {
  return (source.decode as SchemaDecoder<any>).schemas;
}

/** The reader, which hands records over with their schemas. */
export function withSchemas(
  source: Source<any>,
  reader: SourceReader,
  bindings: Bindings,
  clock: Pick<Clock, "now">,
): SourceReader {
  const schemas = schemasOf(source);
  if (schemas === undefined) return reader;
  return new SchemaSource(reader, { schemas, open: () => openRegistry(schemas.registry, bindings), clock });
}

async function openRegistry(registry: RegistryDeclaration, bindings: Bindings) {
  const bound = bindingOf(bindings, registry.name, registry.name);
  if (bound !== undefined && bound.length > 1)
    throw new MillraceError("invalid", `a registry is bound to one place: ${registry.name}, ${bound.join(", ")}`);
  const [place] = bound ?? [];
  const isDirectory = place !== undefined && existsSync(place) && statSync(place).isDirectory();
  return isDirectory ? new DirectorySchemas(place) : registry.open(place);
}
