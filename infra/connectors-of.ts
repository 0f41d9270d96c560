/**
 * What of a job's plan stands outside it: the sources and sinks of each stage, and what the deployment binds them to. By kind; another kind is
 * another entry of `sources` or `sinks`.
 */
import { Stack } from "aws-cdk-lib";
import type { Sink, Source } from "../runtime/api/connector.ts";
import { MillraceError } from "../runtime/base/errors.ts";
import { startTimeOf } from "../runtime/connectors/kinesis/kinesis.ts";
import { schemasOf } from "../runtime/connectors/registry/with-schemas.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import { type Bound, boundTo, checkBound } from "./bindings.ts";
import type { Connector, Place } from "./connector.ts";
import * as permissions from "./permissions.ts";

type Of<Declared> = (place: Place, declared: Declared, bound: Bound) => Omit<Connector, keyof Place>;

const sources: Readonly<Record<string, Of<Source<any>>>> = {
  kinesis: (place, source, bound) => {
    const stream = boundTo(bound, "streams", place);
    const read = permissions.readStreams([stream]);
    const schemas = schemasOf(source)?.registry.kind === "glue" ? [permissions.readSchemas(Stack.of(stream))] : [];
    return {
      rings: { stream, startAt: startTimeOf(source) },
      key: stream.encryptionKey,
      permissions: { task: [...read, ...schemas], coordinator: read, check: read },
    };
  },
};

const sinks: Readonly<Record<string, Of<Sink<any, any>>>> = {
  kinesis: (place, _, bound) => {
    const stream = boundTo(bound, "streams", place);
    const look = permissions.listStreams([stream]);
    return {
      keyedStream: stream,
      key: stream.encryptionKey,
      permissions: { task: permissions.writeStreams([stream]), coordinator: look, check: look },
    };
  },
  dynamodb: (place, _, bound) => {
    const table = boundTo(bound, "tables", place);
    return {
      key: table.encryptionKey,
      permissions: {
        task: [permissions.writeRows(table)],
        coordinator: [permissions.restoreRows(table)],
        check: [permissions.describeTable(table)],
      },
    };
  },
  s3: (place, { options }, bound) => {
    const bucket = boundTo(bound, "buckets", place);
    const use = permissions.useObjects(bucket, String(options.prefix ?? ""));
    return { key: bucket.encryptionKey, permissions: { task: use, coordinator: use, check: use } };
  },
};

interface Declared {
  readonly place: Place;
  readonly source?: Source<any>;
  readonly sink?: Sink<any, any>;
}

/** What asks for nothing of the deployment's. */
const withoutPlace = { sources: new Set(["generator"]), sinks: new Set(["console", "custom"]) };

/** In the order of the graph. Throws `invalid` for what is not bound, cannot run on AWS, or is bound and not in the job. */
export function connectorsOf(job: JobGraph, bound: Bound): readonly Connector[] {
  const declared = [...job.operators.values()].flatMap(({ node: { uid, spec }, stage }): Declared[] => {
    if (spec.kind === "source") return [{ place: { uid, name: spec.source.name, stage }, source: spec.source }];
    return spec.kind === "sink" ? [{ place: { uid, name: spec.sink.name, stage }, sink: spec.sink }] : [];
  });
  const places = declared.map(({ place }) => place);
  checkBound(bound, places);
  return declared.flatMap(({ place, source, sink }) => {
    if (source !== undefined) return connectorOf(place, source, "source", sources, withoutPlace.sources, bound);
    return sink === undefined ? [] : connectorOf(place, sink, "sink", sinks, withoutPlace.sinks, bound);
  });
}

function connectorOf<D extends { readonly kind: string }>(
  place: Place,
  declared: D,
  role: "source" | "sink",
  kinds: Readonly<Record<string, Of<D>>>,
  placeless: ReadonlySet<string>,
  bound: Bound,
): Connector[] {
  const { kind } = declared;
  if (placeless.has(kind)) return [];
  const of = kinds[kind];
  if (of !== undefined) return [{ ...place, ...of(place, declared, bound) }];
  const instead = [...Object.keys(kinds), ...placeless].join(", ");
  throw new MillraceError("invalid", `a ${role} of kind ${kind} does not run on AWS, use one of ${instead} there: ${place.uid}`, {
    context: { operator: place.uid },
  });
}
