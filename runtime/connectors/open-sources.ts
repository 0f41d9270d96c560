/** Makes the readers of a job's sources on one machine. */
import type { Source } from "../api/connector.ts";
import { MillraceError } from "../base/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Readable } from "node:stream";
import { bindingOf, type Bindings } from "./bindings.ts";
import { defaultMaxRecordBytes } from "./files/files.ts";
import { FilesReader } from "./files/reader.ts";
import { StdinSpool } from "./files/stdin-spool.ts";
import type { Framing } from "./formats/format.ts";
import { GeneratorReader } from "./generator/reader.ts";
import { partsOf } from "./hybrid/hybrid.ts";
import { HybridReader } from "./hybrid/hybrid-reader.ts";
import { withSchemas } from "./registry/with-schemas.ts";
import type { SourceReader } from "./source-reader.ts";

/** What readers need of the process they run in. */
export interface SourceContext {
  readonly clock: Pick<Clock, "now">;
  /** Where standard input is kept; part of the job's state. */
  readonly spoolDirectory: string;
  readonly stdin: Readable | undefined;
}

export interface UidSource {
  readonly uid: string;
  readonly source: Source<any>;
}

/**
 * The reader of each source by uid. A bound source is read from the files it is bound to, whatever its kind, and decodes their
 * records as its own. Opens no file yet. Throws `invalid` for a source that can only be read where it is deployed.
 */
export function openSources(
  sources: readonly UidSource[],
  bindings: Bindings,
  context: SourceContext,
): ReadonlyMap<string, SourceReader> {
  const onStdin = sources.flatMap(({ uid, source }) =>
    partsOf(source).flatMap((part) => (pathsOf(uid, part, bindings)?.includes("-") ? [{ uid }] : [])),
  );
  if (onStdin.length > 1) {
    throw new MillraceError("invalid", `only one source can read standard input: ${onStdin.map(({ uid }) => uid).join(", ")}`);
  }
  return new Map(sources.map(({ uid, source }) => [uid, openSource(uid, source, bindings, context)]));
}

/** The reader of one source; as `openSources`. */
export function openSource(uid: string, source: Source<any>, bindings: Bindings, context: SourceContext): SourceReader {
  if (source.parts !== undefined) return openParts(uid, source.parts, bindings, context);
  return withSchemas(source, openOne(uid, source, bindings, context), bindings, context.clock);
}

function openOne(uid: string, source: Source<any>, bindings: Bindings, context: SourceContext): SourceReader {
  const paths = pathsOf(uid, source, bindings);
  if (paths !== undefined) return openFiles(source, paths, context);
  if (source.kind === "generator") return openGenerator(source, context);
  const message = `a source of kind ${source.kind} is not read on one machine: bind it to a file with --bind ${uid}=<path>`;
  throw new MillraceError("invalid", message, { context: { operator: uid } });
}

function openParts(uid: string, parts: readonly Source<any>[], bindings: Bindings, context: SourceContext): SourceReader {
  if (bindings.has(uid)) {
    const names = parts.map(({ name }) => name).join(", ");
    throw new MillraceError("invalid", `each part of a hybrid source is bound by its own name: ${names}, not ${uid}`);
  }
  return new HybridReader(
    uid,
    parts.map((source) => ({ name: source.name, reader: openSource(source.name, source, bindings, context) })),
  );
}

function pathsOf(uid: string, source: Source<any>, bindings: Bindings): readonly string[] | undefined {
  const own = source.kind === "files" ? (source.options.paths as readonly string[]) : undefined;
  return bindingOf(bindings, uid, source.name) ?? own;
}

/** Options that matter to a file reader; sources of other kinds have the format's at most. */
interface FileOptions {
  readonly compression?: "auto" | "none";
  readonly maxRecordBytes?: number;
  readonly format?: { readonly framing?: Framing; readonly header?: boolean };
}

function openFiles(source: Source<any>, paths: readonly string[], context: SourceContext): SourceReader {
  const { compression = "auto", maxRecordBytes = defaultMaxRecordBytes, format }: FileOptions = source.options;
  return new FilesReader({
    name: source.name,
    paths,
    framing: format?.framing ?? { kind: "lines" },
    header: format?.header ?? false,
    compression,
    maxRecordBytes,
    stdin:
      paths.includes("-") && context.stdin ? new StdinSpool(context.spoolDirectory, context.stdin, context.clock) : undefined,
  });
}

function openGenerator(source: Source<any>, { clock }: SourceContext): SourceReader {
  const { shards, count, ratePerSecond } = source.options as { shards: number; count?: number; ratePerSecond?: number };
  return new GeneratorReader({ name: source.name, shards, count, ratePerSecond, clock });
}
