/** Sinks of files and objects in CSV and Parquet, in folders of partitions: whole or not at all, whatever is repeated, by whomever. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { parquetReadObjects } from "hyparquet";
import { S3Sink } from "../../runtime/adapters/aws/s3-sink.ts";
import type { CommitEnd } from "../../runtime/api/connector.ts";
import type { FormattedSink } from "../../runtime/connectors/files/formatted-sink.ts";
import { decodePartOperation } from "../../runtime/connectors/files/part-operation.ts";
import { FileWriter } from "../../runtime/connectors/files/writer.ts";
import type { SinkTarget } from "../../runtime/connectors/sink-target.ts";
import { csv, ndjson, parquet, s3, type S3Options } from "../../runtime/index.ts";
import type { SinkEffect } from "../../runtime/ports/sink-driver.ts";
import { effectsOf, failsAs, restoreOf, type Step, task } from "./sinks.ts";
import { newJob, withS3 } from "./stand-ins.ts";

interface Row {
  readonly n: number;
  readonly text: string;
}

const servers = withS3();
const scratch = await mkdtemp(join(tmpdir(), "millrace-partitions-"));
after(() => rm(scratch, { recursive: true, force: true }));

const day = 86_400_000;
const columns = ["n", "text"] as const;
const formats = {
  ndjson: ndjson<Row>(),
  csv: csv<Row>(undefined, { columns }),
  parquet: parquet<Row>({ columns: { n: "int32", text: "string" } }),
} as const;
const sinkOf = (options: Partial<S3Options<Row>> = {}) =>
  s3<Row>({ bucket: "b", format: formats.ndjson, partitionBy: "day", ...options }) as FormattedSink<Row>;

/** Where a sink writes: what becomes of its effects, and what is there. */
interface Place {
  readonly target: SinkTarget;
  /** Everything, by path; empty objects have no rows. */
  read(): Promise<ReadonlyMap<string, Uint8Array>>;
  put(path: string, bytes: Uint8Array): Promise<void>;
}

const places: Readonly<Record<string, (sink: FormattedSink<Row>) => Promise<Place>>> = {
  files: async ({ format }) => {
    const directory = await mkdtemp(join(scratch, "out-"));
    const { extension, assemble } = format;
    const target = new FileWriter({ directory, naming: { prefix: "", extension }, assemble, durable: false });
    const read = async () => {
      const entries = await readdir(directory, { recursive: true, withFileTypes: true });
      const paths = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
      const known = paths.filter((path) => !path.endsWith(".quarantine/generation"));
      return new Map(
        await Promise.all(known.map(async (path) => [path.slice(directory.length + 1), await readFile(path)] as const)),
      );
    };
    return { target, read, put: (path, bytes) => writeFile(join(directory, path), bytes) };
  },
  objects: async ({ format }) => {
    const prefix = `${newJob()}/`;
    const bucket = await servers.bucket();
    const target = new S3Sink({ bucket, prefix, extension: format.extension, partitioned: true, assemble: format.assemble });
    const read = async () => {
      const found = await bucket.listAll(prefix);
      const all = await Promise.all(found.map(async ({ key }) => [key.slice(prefix.length), (await bucket.get(key))!] as const));
      // What was taken back can be read as an object without rows.
      const withoutRows = format.assemble?.(new Uint8Array(), "") ?? new Uint8Array();
      if (format.assemble !== undefined) assert.deepEqual(await parquetReadObjects({ file: withoutRows.slice().buffer }), []);
      return new Map(all.filter(([, bytes]) => Buffer.compare(bytes, withoutRows) !== 0));
    };
    return { target, read, put: async (path, bytes) => void (await bucket.put(prefix + path, bytes)) };
  },
};

const finished = (all: ReadonlyMap<string, Uint8Array>) => new Map([...all].filter(([path]) => !path.startsWith(".")));
const texts = (all: ReadonlyMap<string, Uint8Array>) =>
  Object.fromEntries([...finished(all)].map(([path, bytes]) => [path, Buffer.from(bytes).toString()]).sort());
const rowsOf = (...ns: readonly number[]): Row[] => ns.map((n) => ({ n, text: `row ${n}` }));
const carryOut = async ({ target }: Place, effects: readonly SinkEffect[]) => {
  for (const effect of effects) await target.carryOut(effect);
};
const operations = (effects: readonly SinkEffect[]) => effects.map(({ payload }) => decodePartOperation(payload));

async function readRows(format: keyof typeof formats, bytes: Uint8Array): Promise<Row[]> {
  const text = Buffer.from(bytes).toString();
  const lines = text.trimEnd().split("\n");
  if (format === "ndjson") return lines.map((line) => JSON.parse(line) as Row);
  if (format === "parquet") return parquetReadObjects({ file: new Uint8Array(bytes).buffer }) as Promise<Row[]>;
  const unquoted = (field: string) => (field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field);
  return lines.slice(1).map((line) => {
    const [, n, field] = /^(\d+),(.*)$/s.exec(line)!;
    return { n: Number(n), text: unquoted(field!) };
  });
}

describe("the pure half of a partitioned sink", () => {
  it("has a file open for each folder, named by its commit and its number there", () => {
    const [first, second] = effectsOf(sinkOf(), [
      { rows: rowsOf(1, 2, 3), times: [0, day, 1] },
      { rows: rowsOf(4, 5), times: [day, 2 * day], end: "barrier" },
    ]);
    const name = (seq: number, n: string) => `g1-g1.count~0-0000000${seq}${n}.ndjson`;
    assert.deepEqual(
      operations(first!).map(({ op, folder, file, bytes }) => [
        op,
        folder,
        file,
        Buffer.from(bytes)
          .toString()
          .match(/\d+(?=,)/g),
      ]),
      [
        ["write", "year=1970/month=01/day=02/", name(1, ".1"), ["2"]],
        ["write", "year=1970/month=01/day=01/", name(1, ""), ["1", "3"]],
      ],
    );
    assert.deepEqual(
      operations(second!).map(({ op, folder, file }) => [op, folder?.slice(-7), file]),
      [
        ["publish", "day=01/", name(1, "")],
        ["publish", "day=02/", name(1, ".1")],
        ["publish", "day=03/", name(2, "")],
      ],
    );
  });

  it("finishes the file that has waited longest when too many are open (W4)", () => {
    const [effects] = effectsOf(sinkOf({ openPartitions: 2 }), [{ rows: rowsOf(1, 2, 3, 4), times: [0, day, 0, 2 * day] }]);
    assert.deepEqual(
      operations(effects!).map(({ op, folder }) => [op, folder?.slice(-7)]),
      [
        ["publish", "day=02/"],
        ["write", "day=01/"],
        ["write", "day=03/"],
      ],
    );
    assert.throws(() => sinkOf({ openPartitions: 0 }), failsAs("invalid", /from 1 to 256/));
  });

  it("refuses a row without a time, and leaves the others", () => {
    const writer = sinkOf().createWriter({ generation: 1, task, operator: "out", seq: () => 1, now: () => 0 });
    writer.add({ n: 1 }, 0, "+I");
    assert.throws(() => writer.add({ n: 2 }, undefined, "+I"), failsAs("invalid", /no timestamp/));
    assert.equal(writer.flush("barrier").length, 1);
  });
});

for (const [kind, placeOf] of Object.entries(places)) {
  describe(`${kind} in partitions`, () => {
    it("lie in their folders, with the header and quotes of CSV", async () => {
      const sink = sinkOf({ format: formats.csv, partitionBy: ({ n }) => ({ odd: n % 2 === 1 }) });
      const place = await placeOf(sink);
      const rows = [
        { n: 1, text: 'say "hi"' },
        { n: 2, text: "a,b" },
        { n: 3, text: "line\nfeed" },
      ];
      await carryOut(place, effectsOf(sink, [{ rows: rows.slice(0, 2) }, { rows: rows.slice(2), end: "barrier" }]).flat());
      assert.deepEqual(texts(await place.read()), {
        "odd=false/g1-g1.count~0-00000001.1.csv": 'n,text\n2,"a,b"\n',
        "odd=true/g1-g1.count~0-00000001.csv": 'n,text\n1,"say ""hi"""\n3,"line\nfeed"\n',
      });
    });

    for (const format of Object.keys(formats) as (keyof typeof formats)[])
      it(`are the same however often effects of ${format} are repeated, and have each row once`, async () => {
        const step = fc.record({
          rows: fc.array(fc.tuple(fc.nat({ max: 999 }), fc.nat({ max: 3 })), { maxLength: 6 }),
          end: fc.constantFrom<CommitEnd>("turn", "turn", "barrier"),
        });
        const sink = sinkOf({ format: formats[format], rollBytes: 60, openPartitions: 2 });
        await fc.assert(
          fc.asyncProperty(
            fc.array(step, { minLength: 1, maxLength: 6 }),
            fc.infiniteStream(fc.nat()),
            async (drawn, choices) => {
              const choose = (below: number) => (choices.next().value as number) % below;
              const steps: Step[] = drawn.map(({ rows, end }) => ({
                rows: rowsOf(...rows.map(([n]) => n)),
                times: rows.map(([, on]) => on * day),
                end,
              }));
              const commits = effectsOf(sink, [...steps, { rows: [], end: "endOfInput" }]);
              const [clean, tried] = [await placeOf(sink), await placeOf(sink)];
              await carryOut(clean, commits.flat());
              const past: SinkEffect[] = [];
              for (const effects of commits) {
                // Dies after some of the effects; the next one carries out all of them (R5), and zombies any that ever were.
                await carryOut(tried, effects.slice(0, choose(effects.length + 1)));
                for (const effect of effects) {
                  await carryOut(tried, [effect]);
                  past.push(effect);
                  if (choose(2) === 0) await carryOut(tried, [past[choose(past.length)]!]);
                }
              }
              const expected = finished(await clean.read());
              assert.deepEqual([...finished(await tried.read())].sort(), [...expected].sort());
              const byDay = new Map<string, number[]>();
              for (const [path, bytes] of expected) {
                const folder = path.slice(0, path.lastIndexOf("/"));
                const ns = (await readRows(format, bytes)).map(({ n }) => n);
                byDay.set(folder, [...(byDay.get(folder) ?? []), ...ns]);
              }
              const given = new Map<string, number[]>();
              for (const { rows } of drawn)
                for (const [n, on] of rows) {
                  const folder = `year=1970/month=01/day=0${on + 1}`;
                  given.set(folder, [...(given.get(folder) ?? []), n]);
                }
              const inOrder = (all: ReadonlyMap<string, number[]>) =>
                [...all].map(([folder, ns]) => [folder, ns.toSorted()]).sort();
              assert.deepEqual(inOrder(byDay), inOrder(given));
            },
          ),
          { numRuns: kind === "files" ? 25 : 12 },
        );
      });

    for (const format of ["ndjson", "parquet"] as const) {
      it(`of ${format} are set aside with their folders when they lie beyond a restored checkpoint`, async () => {
        const sink = sinkOf({ format: formats[format] });
        const place = await placeOf(sink);
        const steps = [1, 2, 3].map((n) => ({ rows: rowsOf(n), times: [n * day], end: "barrier" }) as const);
        const commits = effectsOf(sink, steps);
        await carryOut(place, [...commits.flat(), ...effectsOf(sink, [{ rows: rowsOf(9), times: [0] }], { from: 4 }).flat()]);
        for (let times = 0; times < 2; times++) await place.target.quarantine(restoreOf({ [task]: 2 }));
        const name = (n: number) => `year=1970/month=01/day=0${n + 1}/g1-g1.count~0-0000000${n}.${format}`;
        const all = await place.read();
        assert.deepEqual([...all.keys()].sort(), [`.quarantine/${name(3)}`, name(1), name(2)].sort());
        await assert.rejects(place.target.carryOut(commits[2]![0]!), failsAs("fenced", /generation 2 has taken/));
        const again = effectsOf(sink, [{ rows: rowsOf(3), times: [3 * day], end: "barrier" }], { generation: 2, from: 3 }).flat();
        await carryOut(place, again);
        const rows = await Promise.all([...finished(await place.read()).values()].map((bytes) => readRows(format, bytes)));
        assert.deepEqual(
          rows
            .flat()
            .map(({ n }) => n)
            .sort(),
          [1, 2, 3],
        );
      });

      it(`of ${format} from elsewhere are neither overwritten nor taken for ours`, async () => {
        const sink = sinkOf({ format: formats[format] });
        const [mine, theirs] = [1, 2].map((n) => effectsOf(sink, [{ rows: rowsOf(n), times: [0], end: "barrier" }]).flat());
        const place = await placeOf(sink);
        await carryOut(place, theirs!);
        const before = await place.read();
        await assert.rejects(carryOut(place, mine!), failsAs("invalid", /other contents/));
        assert.deepEqual(await place.read(), before);
      });
    }
  });
}
