/** Sources that a job on this machine reads where they are: `--bind views=kinesis:page-views`. */
import { openAwsSources } from "../runtime/adapters/aws/aws-sources.ts";
import { SystemClock } from "../runtime/adapters/local/system-clock.ts";
import type { Job } from "../runtime/api/job.ts";
import { type Bindings, bindingOf } from "../runtime/connectors/bindings.ts";
import type { SourceReader } from "../runtime/connectors/source-reader.ts";

/** What the path of a binding begins with where it names a stream. */
const livePrefix = "kinesis:";

/** Readers of the sources that are bound to streams, by uid. Asks for nothing yet. */
export function openLiveSources({ graph }: Job, bindings: Bindings): ReadonlyMap<string, SourceReader> {
  const sources = graph.nodes.flatMap(({ uid, spec }) => {
    const paths = spec.kind === "source" ? (bindingOf(bindings, uid, spec.source.name) ?? []) : [];
    return spec.kind === "source" && paths.some((path) => path.startsWith(livePrefix)) ? [{ uid, source: spec.source }] : [];
  });
  const names = [...bindings].map(([name, paths]) => [name, paths.map((path) => path.slice(livePrefix.length))] as const);
  const telemetry = { add: () => undefined, gauge: () => undefined, log: () => undefined };
  const pace = { clock: new SystemClock(), random: Math.random };
  return openAwsSources(sources, { bindings: new Map(names), telemetry, pace });
}
