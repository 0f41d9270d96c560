/** What of a job's plan stands outside it: the sources and sinks of each stage, and what the deployment binds them to. */
import type { IStream } from "aws-cdk-lib/aws-kinesis";
import type { Sink, Source } from "../runtime/api/connector.ts";
import { MillraceError } from "../runtime/base/errors.ts";
import { startTimeOf } from "../runtime/connectors/kinesis/kinesis.ts";
import { schemasOf } from "../runtime/connectors/registry/with-schemas.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import type { StreamJobProps } from "./stream-job-props.ts";
import type { ExternalBucket, ExternalTable } from "./external.ts";

interface Place {
  readonly uid: string;
  /** The logical name. */
  readonly name: string;
  readonly stage: string;
}

export type Connector = Place &
  (
    | {
        readonly kind: "streamSource";
        readonly stream: IStream;
        /** Where a job without state begins; undefined: its horizon. */
        readonly startAt: Date | undefined;
        /** Its records name schemas of Glue's registry. */
        readonly usesGlue: boolean;
      }
    | { readonly kind: "streamSink"; readonly stream: IStream }
    | { readonly kind: "tableSink"; readonly table: ExternalTable }
    | { readonly kind: "bucketSink"; readonly bucket: ExternalBucket; readonly prefix: string }
  );

interface Declared extends Place {
  readonly declared:
    { readonly role: "source"; readonly source: Source<any> } | { readonly role: "sink"; readonly sink: Sink<any, any> };
}

export type Bound = Pick<StreamJobProps, "streams" | "tables" | "buckets">;

/** In the order of the graph. Throws `invalid` for what is not bound, cannot run on AWS, or is bound and not in the job. */
export function connectorsOf(job: JobGraph, bound: Bound): readonly Connector[] {
  const all = [...job.operators.values()].flatMap(({ node: { uid, spec }, stage }): Declared[] => {
    if (spec.kind === "source")
      return [{ uid, name: spec.source.name, stage, declared: { role: "source", source: spec.source } }];
    if (spec.kind === "sink") return [{ uid, name: spec.sink.name, stage, declared: { role: "sink", sink: spec.sink } }];
    return [];
  });
  checkKnown(bound, all);
  return all.flatMap(({ declared, ...place }) =>
    declared.role === "source" ? sourceOf(declared.source, place, bound) : sinkOf(declared.sink, place, bound),
  );
}

function sourceOf(source: Source<any>, place: Place, { streams }: Bound): Connector[] {
  if (source.kind === "generator") return [];
  if (source.kind !== "kinesis") throw notOnAws("source", source.kind, "kinesis()", place);
  const usesGlue = schemasOf(source)?.registry.kind === "glue";
  return [{ ...place, kind: "streamSource", stream: boundTo(streams, "streams", place), startAt: startTimeOf(source), usesGlue }];
}

function sinkOf({ kind, options }: Sink<any, any>, place: Place, { streams, tables, buckets }: Bound): Connector[] {
  switch (kind) {
    case "console":
    case "custom":
      return [];
    case "kinesis":
      return [{ ...place, kind: "streamSink", stream: boundTo(streams, "streams", place) }];
    case "dynamodb":
      return [{ ...place, kind: "tableSink", table: boundTo(tables, "tables", place) }];
    case "s3":
      return [{ ...place, kind: "bucketSink", bucket: boundTo(buckets, "buckets", place), prefix: String(options.prefix ?? "") }];
    default:
      throw notOnAws("sink", kind, "kinesisSink(), dynamodb(), s3() or customSink()", place);
  }
}

function notOnAws(role: string, kind: string, instead: string, { uid }: Place): MillraceError {
  const message = `a ${role} of kind ${kind} does not run on AWS, use ${instead} there: ${uid}`;
  return new MillraceError("invalid", message, { context: { operator: uid } });
}

/** What functions are told: logical name or uid, and the name here. */
export function bindingsOf({ streams = {}, tables = {}, buckets = {} }: Bound): Record<string, string> {
  return Object.fromEntries([
    ...Object.entries(streams).map(([name, { streamName }]) => [name, streamName]),
    ...Object.entries(tables).map(([name, { tableName }]) => [name, tableName]),
    ...Object.entries(buckets).map(([name, { bucketName }]) => [name, bucketName]),
  ]) as Record<string, string>;
}

function boundTo<T>(bound: Readonly<Record<string, T>> | undefined, prop: keyof Bound, { uid, name }: Place): T {
  const found = bound?.[uid] ?? bound?.[name];
  if (found !== undefined) return found;
  throw new MillraceError("invalid", `${prop} must say what ${name} of ${uid} is here: ${prop}: { ${JSON.stringify(name)}: … }`, {
    context: { operator: uid },
  });
}

function checkKnown(bound: Bound, all: readonly Omit<Place, "stage">[]): void {
  const names = [bound.streams, bound.tables, bound.buckets].flatMap((map) => Object.keys(map ?? {}));
  const unknown = names.find((name) => !all.some((connector) => connector.uid === name || connector.name === name));
  if (unknown !== undefined) {
    const known = all.map(({ uid }) => uid).join(", ");
    throw new MillraceError("invalid", `nothing in the job is called so; there are: ${known}: ${unknown}`);
  }
  const twice = names.find((name, n) => names.indexOf(name) < n);
  if (twice !== undefined)
    throw new MillraceError(
      "invalid",
      `a name stands for a stream, a table or a bucket, not for two: bind by the operators' uids: ${twice}`,
    );
}
