/**
 * Topologies made by chance: one to three sources, as one stream or side by side, one to four stages, and an end to each stream and
 * sometimes to what lies between. Their oracle follows from that of each block.
 */
import type { JobBuilder } from "../../api/job-builder.ts";
import type { DataStream } from "../../api/data-stream.ts";
import type { WatermarkStrategy } from "../../api/watermarks.ts";
import type { SeededRandom } from "../../base/seeded-random.ts";
import { drawStage, unseen } from "./generated-blocks.ts";
import { drawEnd } from "./generated-ends.ts";
import { loose, looseEnd } from "./generated-time.ts";
import type { Block, End, Row } from "./generated-rows.ts";
import type { Outside } from "./sinks.ts";
import { aligned, type Expected, inOrder, read, type Topology } from "./topology.ts";
import type { SimRecord, Touch } from "./workload.ts";

const stagesMax = 4;

/** A stream: what it is of, what is done with it, stage by stage, and where it goes. */
interface Branch {
  readonly uid: string;
  readonly sources: readonly string[];
  readonly stages: readonly (readonly Block[])[];
  readonly end: End;
  /** What comes out of a stage goes out as well. */
  readonly between: { readonly after: number; readonly end: End } | undefined;
}

interface Shape {
  readonly sources: readonly string[];
  /** Shards fall idle: what they bring then may be late. */
  readonly isLoose: boolean;
  /** Its first source is keyed already, and has its state before any exchange. */
  readonly keyed: boolean;
  /** Of each source. */
  readonly watermarks: WatermarkStrategy<SimRecord>;
  readonly branches: readonly Branch[];
}

interface ExpectedSoFar extends Expected {
  readonly lists: Map<string, readonly unknown[]>;
  readonly tables: Map<string, ReadonlyMap<string, unknown>>;
  readonly some: Set<string>;
  readonly changes: Set<string>;
}

export function generateTopology(random: SeededRandom): Topology {
  return topologyOf(drawShape(random), stagesMax);
}

function drawShape(random: SeededRandom): Shape {
  const sources = ["a", "b", "c"].slice(0, random.pick([1, 1, 2, 2, 3]));
  // Side by side, or all as one stream; those of several sources have fewer stages each.
  const parts = sources.length > 1 && random.chance(0.3) ? sources.map((source) => [source]) : [sources];
  const most = parts.length > 1 ? 2 : stagesMax;
  const inTime = random.chance(0.3) ? aligned : inOrder;
  const isLoose = random.chance(0.3);
  const drawAnyEnd = () => (isLoose && random.chance(0.7) ? looseEnd(random) : drawEnd(random));
  return {
    sources,
    isLoose,
    watermarks: isLoose ? loose(inTime, random) : inTime,
    keyed: random.chance(0.25),
    branches: parts.map((own, n): Branch => {
      const stages = Array.from({ length: random.between(1, most) }, () => drawStage(random, isLoose));
      const between = random.chance(0.3) ? { after: random.int(stages.length), end: drawAnyEnd() } : undefined;
      return { uid: `s${n}`, sources: own, stages, end: drawAnyEnd(), between };
    }),
  };
}

function topologyOf(shape: Shape, most: number): Topology {
  return {
    name: `generated${shape.isLoose ? " loosely" : ""}: ${shape.branches.map((branch) => nameOf(branch, most)).join("; ")}`,
    sources: shape.sources,
    keyedSource: shape.keyed,
    asTheyCome: shape.branches.some(({ end, between }) => end.byClock === true || between?.end.byClock === true),
    upTo: (stages) => topologyOf(shape, Math.min(stages, most)),
    build: (job, touch, outside) => {
      for (const branch of shape.branches) buildBranch(job, shape, branch, most, touch, outside);
    },
    expect: (records) => {
      const expected: ExpectedSoFar = { lists: new Map(), tables: new Map(), some: new Set(), changes: new Set() };
      for (const branch of shape.branches) expectBranch(branch, most, records, expected);
      return expected;
    },
  };
}

function nameOf({ sources, stages, end, between }: Branch, most: number): string {
  const steps = stages
    .slice(0, most)
    .flatMap((blocks, n) => [...blocks.map(({ name }) => name), ...(between?.after === n ? [`(${between.end.name})`] : [])]);
  return [sources.join("+"), ...steps, end.name].join(", ");
}

function rowOf({ id, key, value, at }: SimRecord): Row {
  return { id: String(id), key, value, at, pad: "" };
}

function readRows(job: JobBuilder, source: string, { watermarks, keyed, sources }: Shape, touch: Touch): DataStream<Row> {
  const records = read(job, source, touch, watermarks);
  const toRow = (record: SimRecord) => {
    touch(record, "keyed");
    return rowOf(record);
  };
  if (!keyed || source !== sources[0]) return records.map(`${source}-row`, toRow);
  const own = unseen();
  return records
    .assumeKeyed((record) => record.key)
    .process(`${source}-unseen`, {
      ...own,
      onRecord: (record: SimRecord, ctx) => own.onRecord(toRow(record), ctx),
    });
}

function buildBranch(
  job: JobBuilder,
  shape: Shape,
  { uid, sources, stages, end, between }: Branch,
  most: number,
  touch: Touch,
  outside: Outside,
): void {
  const [first, ...others] = sources.map((source) => readRows(job, source, shape, touch)) as [
    DataStream<Row>,
    ...DataStream<Row>[],
  ];
  let rows: DataStream<Row> = first.union<Row>(...others);
  for (const [n, blocks] of stages.slice(0, most).entries()) {
    for (const [place, block] of blocks.entries()) rows = block.build(rows, `${uid}-${n}-${place}`);
    if (between?.after === n) between.end.build(rows, `${uid}-between`, outside);
  }
  end.build(rows, `${uid}-out`, outside);
}

function expectBranch(
  { uid, sources, stages, end, between }: Branch,
  most: number,
  records: readonly SimRecord[],
  expected: ExpectedSoFar,
): void {
  const put = (name: string, { expect, shows }: End, of: readonly Row[]) => {
    const held = expect(of);
    if (held instanceof Map) expected.tables.set(name, held);
    else expected.lists.set(name, held as readonly unknown[]);
    if (shows !== undefined) expected[shows].add(name);
  };
  let rows: readonly Row[] = records.filter(({ source }) => sources.includes(source)).map(rowOf);
  for (const [n, blocks] of stages.slice(0, most).entries()) {
    for (const [place, block] of blocks.entries()) rows = block.expect(rows, `${uid}-${n}-${place}`);
    if (between?.after === n) put(`${uid}-between`, between.end, rows);
  }
  put(`${uid}-out`, end, rows);
}
