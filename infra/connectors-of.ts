/**
 * What of a job's plan stands outside it: the sources and sinks of each stage, and what the deployment binds them to. By kind; another kind is
 * another entry of source-connectors.ts or sink-connectors.ts.
 */
import type { Stack } from "aws-cdk-lib";
import type { Sink, Source } from "../runtime/api/connector.ts";
import { MillraceError } from "../runtime/base/errors.ts";
import { partsOf } from "../runtime/connectors/hybrid/hybrid.ts";
import { schemasOf } from "../runtime/connectors/registry/with-schemas.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import { type Bound, checkBound } from "./bindings.ts";
import { bellId, type Connector, type Place } from "./connector.ts";
import * as permissions from "./permissions.ts";
import { sinks } from "./sink-connectors.ts";
import { sources } from "./source-connectors.ts";

interface Declared {
  readonly place: Place;
  readonly source?: Source<any>;
  readonly sink?: Sink<any, any>;
}

/** What asks for nothing of the deployment's. */
const withoutPlace = { source: new Set(["generator"]), sink: new Set(["console", "custom"]) };

/** In the order of the graph. Throws `invalid` for what is not bound, cannot run on AWS, or is bound and not in the job. */
export function connectorsOf(job: JobGraph, bound: Bound, stack: Stack): readonly Connector[] {
  const declared = [...job.operators.values()].flatMap(({ node: { uid, spec }, stage }): readonly Declared[] => {
    if (spec.kind === "source") return partsIn(spec.source, uid, stage);
    return spec.kind === "sink" ? [{ place: { uid, name: spec.sink.name, stage }, sink: spec.sink }] : [];
  });
  checkBound(bound, [...declared.map(({ place }) => place), ...registriesOf(declared)]);
  const connectors = declared.flatMap(({ place, source, sink }): readonly Connector[] => {
    if (source !== undefined) {
      const of = kindOf(place, "source", source, sources);
      return of === undefined ? [] : [{ ...place, ...withSchemas(of(place, source, bound, job.name), source, stack) }];
    }
    const of = kindOf(place, "sink", sink!, sinks);
    return of === undefined ? [] : [{ ...place, ...of(place, sink!, bound) }];
  });
  checkShared(connectors);
  return connectors;
}

/** A source of several parts is read part by part, each bound by its own name, the last by the uid too. */
function partsIn(source: Source<any>, uid: string, stage: string): readonly Declared[] {
  const parts = partsOf(source);
  return parts.map((part, n) => ({
    place: { uid, name: part.name, stage, part: n < parts.length - 1 ? "inner" : undefined },
    source: part,
  }));
}

/** Registries are bound by their names where they are elsewhere than the job says. */
function registriesOf(declared: readonly Declared[]) {
  return declared.flatMap(({ source }) => {
    const registry = source && schemasOf(source)?.registry;
    return registry === undefined ? [] : [{ uid: registry.name, name: registry.name }];
  });
}

function withSchemas<C extends Pick<Connector, "permissions">>(connector: C, source: Source<any>, stack: Stack): C {
  if (schemasOf(source)?.registry.kind !== "glue") return connector;
  const task = [...connector.permissions.task, permissions.readSchemas(stack)];
  return { ...connector, permissions: { ...connector.permissions, task } };
}

/** Undefined: it has no place outside the job. Throws `invalid` for a kind that does not run on AWS. */
function kindOf<Of>(
  place: Place,
  role: "source" | "sink",
  { kind }: { readonly kind: string },
  kinds: Readonly<Record<string, Of>>,
) {
  if (withoutPlace[role].has(kind)) return undefined;
  const of = kinds[kind];
  if (of !== undefined) return of;
  const instead = [...Object.keys(kinds), ...withoutPlace[role]].join(", ");
  throw new MillraceError("invalid", `a ${role} of kind ${kind} does not run on AWS, use one of ${instead} there: ${place.uid}`, {
    context: { operator: place.uid },
  });
}

/** A message goes to one receiver: stages of their own would each get some. */
function checkShared(connectors: readonly Connector[]): void {
  const stages = new Map<string, Connector>();
  for (const connector of connectors) {
    if (connector.bell?.kind !== "queue") continue;
    const known = stages.get(bellId(connector.bell)) ?? connector;
    stages.set(bellId(connector.bell), known);
    if (known.stage !== connector.stage)
      throw new MillraceError(
        "invalid",
        `two sources read one queue by functions of their own, so each would get a part of the messages: read it by one source, or give each a queue: ${known.uid}, ${connector.uid}`,
        { context: { operator: connector.uid } },
      );
  }
}
