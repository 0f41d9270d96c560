/** Jobs run on this machine as users run them: state that is gone on with, refusals that say what to do, input that is no good. */
import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { suite, test } from "node:test";
import { gzipSync } from "node:zlib";
import { LocalRun, type LocalRunOptions } from "../../cli/local-run.ts";
import { reportError } from "../../cli/report-error.ts";
import {
  boundedOutOfOrderness,
  count,
  defineJob,
  fileSink,
  files,
  generator,
  type Job,
  type JobOptions,
  keyedProcess,
  ndjson,
  seconds,
  type Source,
  tumbling,
  type,
  value,
} from "../../runtime/index.ts";
import { type ErrorKind, MillraceError } from "../../runtime/base/errors.ts";
import type { LogReader } from "../../runtime/ports/log.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import { withDirectory } from "../connectors/support.ts";

interface Event {
  readonly key: string;
  readonly at: number;
}

const never = new AbortController().signal;

function counting(source: Source<Event>, options: JobOptions = {}, name = "counting"): Job {
  return defineJob(
    name,
    (job) => {
      job
        .source("events", source, { timestamps: (event) => event.at, watermarks: boundedOutOfOrderness(seconds(1)) })
        .keyBy((event) => event.key)
        .window(tumbling(seconds(10)))
        .aggregate("counts", count(), (key, { start }, n) => ({ key, start, n }))
        .sinkTo("out", fileSink({ path: "counts", format: ndjson() }));
    },
    { checkpoints: { interval: seconds(0.05) }, ...options },
  );
}

function made(count: number, ratePerSecond?: number): Source<Event> {
  const next = (index: number) => ({ key: `k${index % 7}`, at: index * 100 });
  return generator({ seed: 1, count, next, ...(ratePerSecond !== undefined && { ratePerSecond }) });
}

function placesIn(directory: string): Pick<LocalRunOptions, "state" | "output"> {
  return { state: join(directory, "state"), output: join(directory, "results") };
}

async function runToEnd(job: Job, options: LocalRunOptions): Promise<LocalRun> {
  const run = await LocalRun.open(job, options);
  try {
    assert.equal(await run.run(never), "finished");
    return run;
  } finally {
    await run.close();
  }
}

/** Puts something around what sources are read by. */
function reading(around: (read: LogReader["read"]) => LogReader["read"]): (ports: Ports) => Ports {
  return (ports) => ({
    ...ports,
    source: (uid) => {
      const reader = ports.source(uid);
      return { shards: (stream) => reader.shards(stream), read: around((...args) => reader.read(...args)) };
    },
  });
}

/** Runs until so many records are taken in, or a few more, and `when` says so; then asks for a stop. Nothing is read in between. */
async function runUntil(
  job: Job,
  options: LocalRunOptions,
  records: (run: LocalRun) => number,
  when: (run: LocalRun) => boolean = () => true,
): Promise<LocalRun> {
  const stop = new AbortController();
  let run: LocalRun | undefined = undefined;
  const around = reading((read) => async (stream, shard, after, limit) => {
    const isEnough = run !== undefined && run.progress().totals.records >= records(run);
    if (isEnough && when(run!)) stop.abort();
    if (isEnough) return { records: [], next: after, behindMs: 1, gap: false };
    return read(stream, shard, after, { ...limit, records: 250 });
  });
  run = await LocalRun.open(job, { ...options, around });
  try {
    assert.equal(await run.run(stop.signal), "stopped");
    return run;
  } finally {
    await run.close();
  }
}

/** Runs to the end of the input, of which so much is read from one checkpoint to the next. */
async function runByCheckpoints(job: Job, options: LocalRunOptions, recordsMax: number): Promise<LocalRun> {
  let run: LocalRun | undefined = undefined;
  let given = 0;
  const outer = options.around ?? ((ports) => ports);
  const inner = reading((read) => async (stream, shard, after, limit) => {
    const left = recordsMax * (1 + (run?.progress().checkpoint ?? 0)) - given;
    if (left <= 0) return { records: [], next: after, behindMs: 1, gap: false };
    const result = await read(stream, shard, after, { ...limit, records: Math.min(limit.records, left) });
    given += result.records.length;
    return result;
  });
  run = await LocalRun.open(job, { ...options, around: (ports) => outer(inner(ports)) });
  try {
    assert.equal(await run.run(never), "finished");
    return run;
  } finally {
    await run.close();
  }
}

async function linesOf(directory: string): Promise<any[]> {
  const names = (await readdir(directory).catch(() => [])).filter((name) => name.endsWith(".ndjson") && !name.startsWith("."));
  const texts = await Promise.all(names.sort().map((name) => readFile(join(directory, name), "utf8")));
  return texts.flatMap((text) => text.split("\n").filter(Boolean)).map((line) => JSON.parse(line));
}

async function countsIn(directory: string): Promise<readonly string[]> {
  return (await linesOf(join(directory, "results", "counts"))).map((row) => JSON.stringify(row)).sort();
}

/** What `made(count)` comes to. */
function expectedCounts(count: number): readonly string[] {
  const counts = new Map<string, { key: string; start: number; n: number }>();
  for (let index = 0; index < count; index++) {
    const row = { key: `k${index % 7}`, start: Math.floor(index / 100) * 10_000, n: 0 };
    const known = counts.get(`${row.key} ${row.start}`) ?? row;
    known.n++;
    counts.set(`${row.key} ${row.start}`, known);
  }
  return [...counts.values()].map((row) => JSON.stringify(row)).sort();
}

function says(kind: ErrorKind, message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof MillraceError, String(error));
    assert.equal(error.kind, kind, error.message);
    assert.match(error.message, message);
    return true;
  };
}

suite("a run goes on where the one before ended", () => {
  for (const state of ["kept", "memory"] as const)
    for (const parallelism of [1, 2])
      test(`from beginning to end, state ${state}, parallelism ${parallelism}`, () =>
        withDirectory(async (directory) => {
          const places = { ...placesIn(directory), ...(state === "memory" && { state }) };
          const run = await runToEnd(counting(made(5_000), { parallelism }), places);
          assert.deepEqual(await countsIn(directory), expectedCounts(5_000));
          assert.deepEqual(run.progress().totals, { records: 5_000, deadLetters: 0, lateDropped: 0 });
          assert.equal(run.progress().input?.read, 5_000);
        }));

  for (const parallelism of [1, 2])
    test(`in batch mode, stopped on the way, parallelism ${parallelism}`, () =>
      withDirectory(async (directory) => {
        const places = placesIn(directory);
        const job = counting(made(5_000), { parallelism, mode: "batch" });
        const stopped = await runUntil(job, places, () => 1_000);
        assert.ok(stopped.progress().totals.records < 5_000);
        assert.deepEqual(await countsIn(directory), [], "nothing comes out before the input has ended");
        const streaming = counting(made(5_000), { parallelism });
        await assert.rejects(LocalRun.open(streaming, places), says("invalid", /has changed and has no checkpoint/));
        const run = await runToEnd(job, places);
        assert.deepEqual(await countsIn(directory), expectedCounts(5_000));
        assert.equal(run.progress().totals.records >= 5_000, true);
      }));

  test("after a stop, with another parallelism each time", () =>
    withDirectory(async (directory) => {
      const options = placesIn(directory);
      let stood = 0;
      let counted = 0;
      for (const parallelism of [1, 2, 3]) {
        const job = counting(made(40_000), { parallelism });
        const run = await runUntil(job, options, ({ standing }) => standing.totals.records + 500);
        assert.equal(run.standing.generation, parallelism, "a new generation for each parallelism");
        const position = Number(run.standing.shards[0]?.position.replace("start", "0"));
        assert.ok(parallelism === 1 ? position === 0 : position > stood, `goes on at ${position}, after ${stood}`);
        stood = position;
        assert.equal(run.standing.totals.records, counted, "what was counted before goes on being counted");
        counted = run.progress().totals.records;
        assert.ok(counted > run.standing.totals.records);
      }
      const last = await runToEnd(counting(made(40_000)), placesIn(directory));
      assert.equal(last.progress().totals.records, 40_000, "every event once, over all generations");
      assert.deepEqual(await countsIn(directory), expectedCounts(40_000));
    }));

  for (const parallelism of [1, 2])
    test(`standard input, which each run brings more of, at parallelism ${parallelism}`, () =>
      withDirectory(async (directory) => {
        const lines = Array.from({ length: 3_000 }, (_, n) => `${JSON.stringify({ key: `k${n % 7}`, at: n * 100 })}\n`);
        const job = () => counting(files({ paths: "-", format: ndjson(type<Event>()) }), { parallelism });
        const stdin = new PassThrough();
        stdin.write(lines.slice(0, 2_000).join(""));
        await runUntil(job(), { ...placesIn(directory), stdin }, () => 2_000);
        await runToEnd(job(), { ...placesIn(directory), stdin: Readable.from(lines.slice(2_000)) });
        assert.deepEqual(await countsIn(directory), expectedCounts(3_000));
      }));

  test("more standard input than a checkpoint knows of is refused at parallelism 2, and kept", () =>
    withDirectory(async (directory) => {
      const source = files({ paths: "-", format: ndjson(type<Event>()) });
      const job = counting(source, { parallelism: 2, checkpoints: { interval: seconds(60) } });
      const first = await LocalRun.open(job, { ...placesIn(directory), stdin: new PassThrough() });
      await first.close();
      const second = LocalRun.open(job, { ...placesIn(directory), stdin: Readable.from(['{"key":"a","at":1}\n']) });
      await assert.rejects(second, says("invalid", /begin anew with the files that keep what came in so far: .*stdin$/));
      assert.deepEqual((await readdir(join(directory, "state", "stdin"))).filter((name) => /^stdin-\d$/.test(name)).length, 2);
    }));

  test("a job that has finished is not run again", () =>
    withDirectory(async (directory) => {
      await runToEnd(counting(made(500)), placesIn(directory));
      const before = await readdir(join(directory, "results", "counts"));
      const again = await runToEnd(counting(made(500)), placesIn(directory));
      assert.equal(again.finishedBefore, true);
      assert.deepEqual(await readdir(join(directory, "results", "counts")), before);
    }));

  test("two runs that share a job each ring some of its tasks", () =>
    withDirectory(async (directory) => {
      const options = { ...placesIn(directory), share: true };
      const job = () => counting(made(4_000, 2_000), { parallelism: 2 });
      const one = await LocalRun.open(job(), options);
      const two = await LocalRun.open(job(), options);
      await Promise.all([one.run(never), two.run(never)]);
      assert.deepEqual(await countsIn(directory), expectedCounts(4_000));
      await one.close();
      await two.close();
    }));

  test("a place where nothing can be made is refused at once, as output and as state", () =>
    withDirectory(async (directory) => {
      // Node's own making of directories never comes back from here.
      const nowhere = "/proc/nowhere/at/all";
      const places = placesIn(directory);
      const refused = { kind: "invalid", message: /nowhere/ };
      await assert.rejects(LocalRun.open(counting(made(10)), { ...places, state: nowhere }), refused);
      await assert.rejects(runToEnd(counting(made(10)), { ...places, output: nowhere }), refused);
    }));

  test("objects are those of the checkpoints that are kept", () =>
    withDirectory(async (directory) => {
      let kept: readonly string[] = [];
      const around: LocalRunOptions["around"] = (ports) => {
        const tail: typeof ports.journal.tail = async (task, after) => {
          kept = (await ports.blobs.list("")).blobs.map(({ name }) => name);
          return ports.journal.tail(task, after);
        };
        const { journal } = ports;
        const rest: Omit<typeof journal, "tail"> = {
          ringSize: journal.ringSize,
          write: (...args) => journal.write(...args),
          post: (...args) => journal.post(...args),
          withdraw: (...args) => journal.withdraw(...args),
          forget: (...args) => journal.forget(...args),
        };
        return { ...ports, journal: { ...rest, tail } };
      };
      const run = await runByCheckpoints(counting(made(15_000)), { ...placesIn(directory), around }, 1_000);
      assert.ok(run.progress().checkpoint > 10, `${run.progress().checkpoint} checkpoints`);
      // Three are retained, and the garbage is collected after every fifth.
      const manifests = kept.filter((name) => name.startsWith("manifests/"));
      assert.ok(manifests.length >= 3 && manifests.length <= 8, `kept ${manifests.join(", ")}`);
      assert.ok(kept.length <= 20, `kept ${kept.length} objects`);
    }));

  test("inboxes hold what is not taken in yet, not the input", () =>
    withDirectory(async (directory) => {
      let kept = 0;
      let sent = 0;
      const around: LocalRunOptions["around"] = (ports) => {
        const read: typeof ports.log.read = async (stream, shard, after, limit) => {
          const all = await ports.log.read(stream, shard, "horizon", { records: 1_000_000, bytes: 1 << 30 });
          kept = Math.max(kept, all.records.length);
          return ports.log.read(stream, shard, after, limit);
        };
        const append: typeof ports.log.append = (stream, records) => {
          sent += records.length;
          return ports.log.append(stream, records);
        };
        return { ...ports, log: { read, shards: (stream) => ports.log.shards(stream), append } };
      };
      await runByCheckpoints(counting(made(15_000), { parallelism: 2 }), { ...placesIn(directory), around }, 1_000);
      assert.deepEqual(await countsIn(directory), expectedCounts(15_000));
      assert.ok(kept > 0 && kept < sent / 2, `an inbox shard held ${kept} frames at once, of ${sent} in two shards`);
    }));
});

suite("a run is refused", () => {
  test("on the state of another job", () =>
    withDirectory(async (directory) => {
      await runToEnd(counting(made(100)), placesIn(directory));
      const other = counting(made(100), {}, "another");
      await assert.rejects(LocalRun.open(other, placesIn(directory)), says("invalid", /belongs to another job, choose another/));
    }));

  test("on the state of a plan that does not fit, which stays as it is", () =>
    withDirectory(async (directory) => {
      const options = placesIn(directory);
      const hasCheckpoint = (run: LocalRun) => run.progress().checkpoint > 0;
      await runUntil(counting(made(3_000)), options, () => 300, hasCheckpoint);
      const changed = defineJob("counting", (job) => {
        job
          .source("events", made(3_000))
          .keyBy((event) => event.key)
          .process("counts", { output: type<Event>(), state: { seen: value<number>() }, onRecord: () => undefined })
          .sinkTo("out", fileSink({ path: "counts", format: ndjson() }));
      });
      await assert.rejects(
        LocalRun.open(changed, options),
        says("invalid", /does not fit this job, nothing was changed: operator counts/),
      );
      await runToEnd(counting(made(3_000)), placesIn(directory));
      assert.deepEqual(await countsIn(directory), expectedCounts(3_000));
    }));

  test("on state of an operator that is gone, unless it is to be left behind", () =>
    withDirectory(async (directory) => {
      const options = placesIn(directory);
      const hasCheckpoint = (run: LocalRun) => run.progress().checkpoint > 0;
      await runUntil(counting(made(3_000)), options, () => 300, hasCheckpoint);
      const changed = defineJob("counting", (job) => {
        job
          .source("events", made(3_000))
          .keyBy((event) => event.key)
          .reduce("last", (_a, b) => b)
          .sinkTo("out", fileSink({ path: "counts", format: ndjson() }));
      });
      await assert.rejects(
        LocalRun.open(changed, options),
        says("invalid", /operator counts: operator removed .*allowSkippedState/),
      );
      await runToEnd(changed, { ...placesIn(directory), allowSkippedState: true });
      // The job has gone on, so nothing is left behind any more.
      const again = await LocalRun.open(changed, placesIn(directory));
      assert.ok(again.finishedBefore);
      await again.close();
    }));

  test("over other input than the state's", () =>
    withDirectory(async (directory) => {
      const [one, two] = [join(directory, "one.ndjson"), join(directory, "two.ndjson")];
      for (const path of [one, two]) await writeFile(path, '{"key":"a","at":1}\n');
      const over = (paths: string[]) => counting(files({ paths, format: ndjson(type<Event>()) }));
      await runToEnd(over([one]), placesIn(directory));
      const refused = says(
        "invalid",
        /the state is of a run over other input.*no longer there: .*one\.ndjson; new: .*two\.ndjson/,
      );
      await assert.rejects(LocalRun.open(over([two]), placesIn(directory)), refused);
      await assert.rejects(LocalRun.open(over([one, two]), placesIn(directory)), says("invalid", /: new: .*two\.ndjson|, new: /));
    }));

  test("beside the results of a run whose state is gone", () =>
    withDirectory(async (directory) => {
      await runToEnd(counting(made(100)), placesIn(directory));
      const elsewhere = { ...placesIn(directory), state: join(directory, "other-state") };
      await assert.rejects(LocalRun.open(counting(made(100)), elsewhere), says("invalid", /results of an earlier run/));
    }));

  test("while another runs the job on the directory, and free again when that is closed", () =>
    withDirectory(async (directory) => {
      const first = await LocalRun.open(counting(made(100)), placesIn(directory));
      const refused = says("fenced", /another process runs this job on this directory, stop it or choose another/);
      await assert.rejects(LocalRun.open(counting(made(100)), placesIn(directory)), refused);
      await assert.rejects(LocalRun.open(counting(made(100)), { ...placesIn(directory), share: true }), refused);
      await first.close();
      await runToEnd(counting(made(100)), placesIn(directory));
    }));

  test("where it cannot write", () =>
    withDirectory(async (directory) => {
      const file = join(directory, "file");
      await writeFile(file, "");
      const state = { ...placesIn(directory), state: join(file, "state") };
      await assert.rejects(LocalRun.open(counting(made(100)), state), says("invalid", /leads through a file/));
      const output = { ...placesIn(directory), output: join(file, "results") };
      await assert.rejects(
        LocalRun.open(counting(made(100)), output),
        says("invalid", /a part of the path is a file: check the path/),
      );
    }));

  test("over a file that is not there", () =>
    withDirectory(async (directory) => {
      const missing = counting(files({ paths: join(directory, "missing"), format: ndjson(type<Event>()) }));
      await assert.rejects(
        LocalRun.open(missing, placesIn(directory)),
        says("invalid", /no such file or directory: check the path/),
      );
    }));

  test("a full disk is waited for, then said; with room again the run goes on and nothing is lost", () =>
    withDirectory(async (directory) => {
      let waits = 0;
      const stop = new AbortController();
      const events = { retry: () => void (++waits === 2 && stop.abort()) };
      const job = counting(generator({ seed: 1, count: 20_000, next: (index) => ({ key: `k${index}`, at: index }) }));
      const small = { ...placesIn(directory), store: { maxBytes: 600_000 }, events };
      const full = await LocalRun.open(job, small);
      await assert.rejects(full.run(stop.signal), says("unavailable", /no space is left for the store/));
      await full.close();
      await runToEnd(job, placesIn(directory));
      const rows = await linesOf(join(directory, "results", "counts"));
      assert.equal(rows.length, 20_000);
      assert.equal(new Set(rows.map(({ key }) => key)).size, 20_000);
    }));
});

suite("input that is no good goes to the dead letters, with reason, place and bytes", () => {
  const good = '{"key":"a","at":1000}\n';

  async function deadLettersOf(directory: string, content: string | Buffer, parallelism: number) {
    const path = join(directory, "events.ndjson");
    await writeFile(path, content);
    const source = files({ paths: path, format: ndjson(type<Event>()), maxRecordBytes: 200_000 });
    await runToEnd(counting(source, { parallelism }), placesIn(directory));
    const rows = await linesOf(join(directory, "results", "counts"));
    const letters = await linesOf(join(directory, "results", "dead-letters"));
    return { views: rows.reduce((sum, { n }) => sum + n, 0), letters };
  }

  const cases: readonly (readonly [what: string, line: string, reason: RegExp])[] = [
    ["not JSON", "hello", /^not valid JSON/],
    ["not UTF-8", "\xff", /^not valid UTF-8/],
    ["no object", "17", /^no timestamp|^no valid timestamp/],
    ["no timestamp", '{"key":"a"}', /^no valid timestamp/],
    ["a timestamp that is text", '{"key":"a","at":"now"}', /^no valid timestamp/],
    ["a timestamp of the year 300000", '{"key":"a","at":9404850000000000}', /^no valid timestamp .*9404850000000000$/],
    ["a key that is null", '{"key":null,"at":1}', /key/],
    ["a key of 100 KB", `{"key":"${"k".repeat(100_000)}","at":1}`, /^key of \d+ \w+ is over/],
    ["a record over the size limit", `{"key":"${"k".repeat(300_000)}","at":1}`, /^record over 200000 bytes/],
  ];
  for (const parallelism of [1, 2])
    test(`each kind of it, at parallelism ${parallelism}`, () =>
      withDirectory(async (directory) => {
        const content = cases.map(([, line]) => `${good}${line}\n`).join("");
        const { views, letters } = await deadLettersOf(directory, Buffer.from(content, "latin1"), parallelism);
        assert.equal(views, cases.length, "good records count");
        assert.equal(letters.length, cases.length);
        let end = 0;
        for (const [what, line, reason] of cases) {
          end += good.length + line.length + 1;
          const letter = letters.find(({ position }) => position === String(end));
          assert.ok(letter !== undefined, `${what}: no letter at ${end}`);
          assert.match(letter.reason, reason, what);
          assert.equal(Buffer.from(letter.bytes, "base64").toString("latin1"), line.slice(0, 200_000), what);
          assert.match(letter.shard, /events\.ndjson$/);
        }
      }));

  test("an empty file is none of it", () =>
    withDirectory(async (directory) => {
      assert.deepEqual(await deadLettersOf(directory, "", 1), { views: 0, letters: [] });
    }));

  test("a gzip file that breaks off", () =>
    withDirectory(async (directory) => {
      const lines = Array.from({ length: 2_000 }, (_, n) => `{"key":"a","at":${n},"${Math.sin(n)}":1}\n`).join("");
      const whole = gzipSync(lines);
      const { views, letters } = await deadLettersOf(directory, whole.subarray(0, whole.length / 2), 1);
      assert.equal(letters.length, 1);
      assert.match(letters[0].reason, /the gzip data breaks off here/);
      const cut = Buffer.from(letters[0].bytes, "base64").toString();
      const kept = lines.split("\n").slice(0, views).join("\n");
      assert.ok(views > 100 && lines.startsWith(`${kept}\n${cut}`));
    }));
});

suite("the author's function throws", () => {
  /** Counts records per key; throws on one key, or in one key's timer. */
  function throwing(where: "onRecord" | "onTimer", options: JobOptions): Job {
    const fn = keyedProcess<string, Event, { key: string; n: number }, { n: ReturnType<typeof value<number>> }>({
      output: type<{ key: string; n: number }>(),
      state: { n: value<number>() },
      onRecord: (event, ctx) => {
        ctx.state.n.set((ctx.state.n.get() ?? 0) + 1);
        ctx.timers.eventTime(1_000_000);
        if (where === "onRecord" && event.key === "k3" && event.at > 2_000) throw new Error("no threes");
      },
      onTimer: (_at, ctx) => {
        if (where === "onTimer" && ctx.key === "k3") throw new Error("no threes");
        ctx.emit({ key: ctx.key, n: ctx.state.n.get() ?? 0 });
      },
    });
    return defineJob(
      "throwing",
      (job) => {
        job
          .source("events", made(700), { timestamps: (event) => event.at, watermarks: boundedOutOfOrderness(seconds(1)) })
          .keyBy((event) => event.key)
          .process("count", fn)
          .sinkTo("out", fileSink({ path: "counts", format: ndjson() }));
      },
      options,
    );
  }

  for (const parallelism of [1, 2]) {
    test(`on a record: that record alone, at parallelism ${parallelism}`, () =>
      withDirectory(async (directory) => {
        await runToEnd(throwing("onRecord", { parallelism }), placesIn(directory));
        const counts = new Map((await linesOf(join(directory, "results", "counts"))).map(({ key, n }) => [key, n]));
        assert.deepEqual([counts.get("k2"), counts.get("k3")], [100, 3]);
        const letters = await linesOf(join(directory, "results", "dead-letters"));
        assert.equal(letters.length, 97);
        assert.match(letters[0].reason, /no threes \(thrown in operator count\)/);
      }));
    test(`in a timer: that timer alone, at parallelism ${parallelism}`, () =>
      withDirectory(async (directory) => {
        await runToEnd(throwing("onTimer", { parallelism }), placesIn(directory));
        const rows = await linesOf(join(directory, "results", "counts"));
        assert.deepEqual(rows.map(({ key }) => key).sort(), ["k0", "k1", "k2", "k4", "k5", "k6"]);
        const letters = await linesOf(join(directory, "results", "dead-letters"));
        assert.deepEqual(
          letters.map(({ shard, position }) => [shard, position]),
          [["timer of count", "1000000"]],
        );
      }));
  }

  test("with the policy fail, the run ends and says which operator", () =>
    withDirectory(async (directory) => {
      const run = await LocalRun.open(throwing("onRecord", { onUserError: "fail" }), placesIn(directory));
      await assert.rejects(run.run(never), says("user", /no threes \(thrown in operator count\): record at position \d+ of /));
      await run.close();
    }));
});

suite("errors as the user sees them", () => {
  test("one line that begins with error, the exit code by whose fault it is", () => {
    const printed: string[] = [];
    const print = (line: string) => printed.push(line);
    assert.equal(reportError(new MillraceError("invalid", "no such file: check the path: x"), print), 1);
    assert.deepEqual(printed.splice(0), ["error: no such file: check the path: x"]);
    assert.equal(
      reportError(Object.assign(new TypeError("Unknown option '--x'"), { code: "ERR_PARSE_ARGS_UNKNOWN_OPTION" }), print),
      2,
    );
    assert.deepEqual(printed.splice(0), ["error: Unknown option '--x'", "see --help"]);
    assert.equal(reportError(new Error("oops"), print), 1);
    assert.match(printed.splice(0).join("\n"), /^error: oops\nthis should not happen/);
    const mine = new MillraceError("user", "no threes (thrown in operator count)", { cause: new Error("no threes") });
    assert.equal(reportError(mine, print), 1);
    assert.equal(printed.length, 2);
    assert.match(printed[1]!, /^at .*local-run\.test\.ts:\d+:\d+/, "where the author's code threw");
  });
});
