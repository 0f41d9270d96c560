/** Makes the readers of a job's sources on AWS: what `Ports.source` answers. The counterpart of connectors/open-sources.ts. */
import { MillraceError } from "../../base/errors.ts";
import { bindingOf, type Bindings } from "../../connectors/bindings.ts";
import { openSource, type UidSource } from "../../connectors/open-sources.ts";
import { withSchemas } from "../../connectors/registry/with-schemas.ts";
import type { SourceReader } from "../../connectors/source-reader.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { type AwsClients, awsClients } from "./aws-clients.ts";
import type { Pace } from "./back-off.ts";
import { KinesisSource } from "./kinesis-source.ts";
import { UnpackedSource } from "./unpacked-source.ts";

export interface AwsSourcesOptions {
  /** Logical names, or uids, to the names that the deployment gave; what is not bound has its own. */
  readonly bindings: Bindings;
  readonly telemetry: Telemetry;
  /** Its `remainingMs` bounds how long throttled requests are tried again. */
  readonly pace: Pace;
  /** Default: made by the SDK's own settings. */
  readonly clients?: Pick<AwsClients, "kinesis">;
}

/** The reader of each source by uid; asks AWS for nothing yet. Throws `invalid` for a source that cannot be read where there are no files. */
export function openAwsSources(sources: readonly UidSource[], options: AwsSourcesOptions): ReadonlyMap<string, SourceReader> {
  const { kinesis } = options.clients ?? awsClients();
  const open = ({ uid, source }: UidSource) =>
    withSchemas(source, openAwsSource({ uid, source }, options, kinesis), options.bindings, options.pace.clock);
  return new Map(sources.map((source) => [source.uid, open(source)]));
}

function openAwsSource(
  { uid, source }: UidSource,
  { bindings, telemetry, pace }: AwsSourcesOptions,
  client: AwsClients["kinesis"],
): SourceReader {
  if (source.kind === "kinesis") {
    const stream = oneName(uid, bindingOf(bindings, uid, source.name)) ?? source.name;
    return new UnpackedSource(new KinesisSource({ uid, source, stream, client, telemetry, pace }), telemetry);
  }
  if (source.kind === "generator")
    return openSource(uid, source, new Map(), { clock: pace.clock, spoolDirectory: "", stdin: undefined });
  const message = `a source of kind ${source.kind} is not read on AWS: use kinesis() there: ${uid}`;
  throw new MillraceError("invalid", message, { context: { operator: uid } });
}

/** The one name a source or sink is bound to; undefined when it is not bound. Throws `invalid` for several. */
export function oneName(uid: string, names: readonly string[] | undefined): string | undefined {
  if (names !== undefined && names.length !== 1)
    throw new MillraceError("invalid", `a source or sink on AWS is bound to one name: ${uid}, ${names.join(", ")}`);
  return names?.[0];
}
