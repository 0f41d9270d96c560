/**
 * Example jobs as they are deployed, in the simulated deployment: their own code with their own source and sinks of AWS, under its faults, held
 * against a recount of their input.
 *
 * Without `idleAfter`, which the deployed page views have: what comes of a shard that was taken for idle may be late or not, and both are right.
 */
import { pageviewsOnAws } from "../../examples/pageviews/on-aws.ts";
import type { PageView } from "../../examples/pageviews/page-view.ts";
import type { DeploymentTopology } from "../../emulator/simulation/deployment-topology.ts";
import type { SourceRecord } from "../../runtime/api/connector.ts";
import type { LogicalNode } from "../../runtime/api/graph.ts";
import type { SimRecord, Touch } from "../../runtime/testing/simulation/workload.ts";
import { perMinute, visits } from "./page-view-oracle.ts";

const minuteMs = 60_000;
/** Views that follow each other closely; then nobody looks for a while: at times so long that all visits end. */
const viewsOfBlock = 20;
const blocksMs = [25 * minuteMs, 75 * minuteMs] as const;
const betweenMs = 20_000;

/** The view of a record, at a time of its own: every second comes before the one that it follows, by less than the job waits for. */
export function viewOf({ id, key: user, group }: SimRecord): PageView {
  const block = Math.floor(id / viewsOfBlock);
  const [short, long] = blocksMs;
  const begin = Math.ceil(block / 2) * short + Math.floor(block / 2) * long;
  return { user, page: `/${group}`, at: begin + ((id % viewsOfBlock) ^ 1) * betweenMs };
}

/** Has a source's function of timestamps touch the records that it is given, as those of simulated jobs do. */
function touching(node: LogicalNode, touch: Touch): LogicalNode {
  const { spec } = node;
  if (spec.kind !== "source") return node;
  const records = new WeakMap<object, SimRecord>();
  const source: typeof spec.source = {
    ...spec.source,
    decode: (record: SourceRecord, target) =>
      spec.source.decode(record, {
        accept: (view) => {
          records.set(view as PageView, JSON.parse(Buffer.from(record.bytes).toString()) as SimRecord);
          target.accept(view);
        },
        reject: (reason, bytes) => target.reject(reason, bytes),
      }),
  };
  const timestamps: typeof spec.timestamps = (view: PageView, meta) => {
    touch(records.get(view)!, "timestamp");
    return spec.timestamps!(view, meta);
  };
  return { ...node, spec: { ...spec, source, timestamps } };
}

export const deployedPageviews: DeploymentTopology = {
  name: "pageviews",
  sources: ["views"],
  deadly: ["timestamp"],
  settings: { sources: "streams", mode: "streaming", realSinks: true, lists: "objects" },
  poison: 0.015,
  define(options, touch) {
    const job = pageviewsOnAws({ parallelism: options.parallelism ?? 1 });
    const nodes = job.graph.nodes.map((node) => touching(node, touch));
    return { ...job, options: { ...job.options, ...options }, graph: { ...job.graph, nodes } };
  },
  build: () => undefined,
  eventOf: (record) => ({ ...record, ...viewOf(record) }),
  expect(records) {
    const views = records.map(viewOf);
    return {
      lists: new Map([
        ["late-views-out", []],
        ["late-sessions-out", []],
      ]),
      tables: new Map<string, Map<string, unknown>>([
        ["views-out", new Map(perMinute(views).map((row) => [`${row.page} ${row.start}`, row]))],
        ["sessions-out", new Map(visits(views).map((row) => [`${row.user} ${row.start}`, row]))],
      ]),
    };
  },
  checkFurther: () => undefined,
};

export const deployedExamples: readonly DeploymentTopology[] = [deployedPageviews];
export const deployedExampleNames: readonly string[] = deployedExamples.map(({ name }) => name);

/** What goes by this name: an example, or what the simulation knows itself. */
export function deployedTopology(name: string | undefined): string | DeploymentTopology | undefined {
  return deployedExamples.find((example) => example.name === name) ?? name;
}
