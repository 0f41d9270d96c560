/** Makes the readers of a job's sources on AWS: what `Ports.source` answers. The counterpart of connectors/open-sources.ts. */
import type { Source } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import { bindingOf, type Bindings } from "../../connectors/bindings.ts";
import { BroughtReader } from "../../connectors/brought/brought-reader.ts";
import type { DynamodbStreamSettings } from "../../connectors/dynamodb/dynamodb-stream.ts";
import { HybridReader } from "../../connectors/hybrid/hybrid-reader.ts";
import { kafkaReading, type KafkaSettings } from "../../connectors/kafka/kafka.ts";
import { openSource, type UidSource } from "../../connectors/open-sources.ts";
import { withSchemas } from "../../connectors/registry/with-schemas.ts";
import type { SourceReader } from "../../connectors/source-reader.ts";
import { queueReading } from "../../connectors/sqs/sqs.ts";
import type { Blobs } from "../../ports/blobs.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { type AwsClients, awsClients } from "./aws-clients.ts";
import type { Pace } from "./back-off.ts";
import { KinesisSource } from "./kinesis-source.ts";
import { type LazyClients, lazyClients } from "./lazy-clients.ts";
import { S3Bucket } from "./s3-bucket.ts";
import { S3ObjectsReader } from "./s3-objects-reader.ts";
import { TableStreamReader } from "./table-stream-reader.ts";
import { UnpackedSource } from "./unpacked-source.ts";

export interface AwsSourcesOptions {
  /** Logical names, or uids, to the names that the deployment gave; what is not bound has its own. */
  readonly bindings: Bindings;
  readonly telemetry: Telemetry;
  /** Its `remainingMs` bounds how long throttled requests are tried again. */
  readonly pace: Pace;
  /** Default: made by the SDK's own settings. */
  readonly clients?: Pick<AwsClients, "kinesis"> & Partial<Pick<AwsClients, "s3" | "dynamodb">>;
  readonly lazyClients?: Pick<LazyClients, "dynamodbStreams">;
  /** Where a source keeps what it settles when the job begins: with the job's state. */
  readonly blobs?: Blobs;
}

/** The reader of each source by uid; asks AWS for nothing yet. Throws `invalid` for a source that cannot be read where there are no files. */
export function openAwsSources(sources: readonly UidSource[], options: AwsSourcesOptions): ReadonlyMap<string, SourceReader> {
  const clients = options.clients ?? awsClients();
  return new Map(sources.map((source) => [source.uid, openAwsSource(source, { ...options, clients })]));
}

type Opening = AwsSourcesOptions & { readonly clients: NonNullable<AwsSourcesOptions["clients"]> };

function openAwsSource({ uid, source }: UidSource, options: Opening): SourceReader {
  if (source.parts !== undefined) return openParts(uid, source.parts, options);
  return withSchemas(source, openOne({ uid, source }, options), options.bindings, options.pace.clock);
}

function openOne({ uid, source }: UidSource, options: Opening): SourceReader {
  const { bindings, telemetry, pace, clients } = options;
  const bound = oneName(uid, bindingOf(bindings, uid, source.name)) ?? source.name;
  switch (source.kind) {
    case "kinesis":
      return new UnpackedSource(
        new KinesisSource({ uid, source, stream: bound, client: clients.kinesis, telemetry, pace }),
        telemetry,
      );
    case "s3Objects":
      return openS3Objects({ uid, source }, bound, options);
    case "dynamodbStream":
      return openTableStream({ uid, source }, bound, options);
    case "kafka":
      return new BroughtReader(kafkaReading(uid, source.options as unknown as KafkaSettings));
    case "sqs":
    case "eventBridge":
      return new BroughtReader(queueReading(uid));
    case "generator": {
      const reader = openSource(uid, source, new Map(), { clock: pace.clock, spoolDirectory: "", stdin: undefined });
      return Object.assign(reader, { polled: async () => true });
    }
    default: {
      const message = `a source of kind ${source.kind} is not read on AWS: use kinesis() there: ${uid}`;
      throw new MillraceError("invalid", message, { context: { operator: uid } });
    }
  }
}

/** Each part has a name of its own; the uid stands for the last, which a mapping may ring. */
function openParts(uid: string, parts: readonly Source<any>[], options: Opening): SourceReader {
  const readers = parts.map((source, n) => {
    const own = n === parts.length - 1 ? options.bindings : new Map([...options.bindings].filter(([name]) => name !== uid));
    return { name: source.name, reader: openAwsSource({ uid, source }, { ...options, bindings: own }) };
  });
  return new HybridReader(uid, readers);
}

function openS3Objects({ uid, source }: UidSource, name: string, { clients, blobs, telemetry, pace }: Opening): SourceReader {
  if (clients.s3 === undefined || blobs === undefined)
    throw new MillraceError("internal", `an S3 source was opened without S3 or the job's state: ${uid}`);
  return new S3ObjectsReader({ uid, source, bucket: new S3Bucket(clients.s3, name, telemetry, pace), blobs });
}

function openTableStream({ uid, source }: UidSource, table: string, options: Opening): SourceReader {
  const { dynamodb } = options.clients;
  if (dynamodb === undefined) throw new MillraceError("internal", `a table's stream was opened without DynamoDB: ${uid}`);
  const { telemetry, pace, lazyClients: lazy = lazyClients() } = options;
  return new TableStreamReader({
    uid,
    settings: source.options as unknown as DynamodbStreamSettings,
    table,
    dynamodb,
    streams: () => lazy.dynamodbStreams(),
    clock: pace.clock,
    telemetry,
  });
}

/** The one name a source or sink is bound to; undefined when it is not bound. Throws `invalid` for several. */
export function oneName(uid: string, names: readonly string[] | undefined): string | undefined {
  if (names !== undefined && names.length !== 1)
    throw new MillraceError("invalid", `a source or sink on AWS is bound to one name: ${uid}, ${names.join(", ")}`);
  return names?.[0];
}
