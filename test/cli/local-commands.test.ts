/** The commands on a job on this machine: every event is counted once whatever is ordered, and whatever dies while it is copied or given back. */
import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { suite, test } from "node:test";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { check } from "../../cli/commands/check.ts";
import { checkpointOf, checkpoints } from "../../cli/commands/checkpoints.ts";
import { list } from "../../cli/commands/deadletters.ts";
import { fork, forkOnto } from "../../cli/commands/fork.ts";
import { pause, restore, resume, savepoint, stop } from "../../cli/commands/orders.ts";
import { giveBack } from "../../cli/commands/redrive.ts";
import { exportState, getState, listState } from "../../cli/commands/state.ts";
import { readManifest, readStatus, recordOf } from "../../cli/job-status.ts";
import { LocalRun, type LocalRunOptions } from "../../cli/local-run.ts";
import { exitCodes, reportError } from "../../cli/report-error.ts";
import { openLocalTarget } from "../../cli/target/local-target.ts";
import type { Target } from "../../cli/target/target.ts";
import { type BlobName, id, type TaskId } from "../../runtime/base/ids.ts";
import { isKind, MillraceError } from "../../runtime/base/errors.ts";
import {
  aggregating,
  count,
  csv,
  defineJob,
  fileSink,
  files,
  generator,
  hours,
  type Job,
  keyedProcess,
  list as listOf,
  map,
  millis,
  monotonous,
  ndjson,
  type Schema,
  seconds,
  sliding,
  tumbling,
  type,
  value,
} from "../../runtime/index.ts";
import type { Key } from "../../runtime/api/key.ts";
import { openLocal } from "../../runtime/adapters/local/open-local.ts";
import { collectGarbage } from "../../runtime/driver/collect-garbage.ts";
import { namesUnder } from "../../runtime/ports/blobs.ts";
import { planJob } from "../../runtime/plan/plan-job.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import { jobRing } from "../../runtime/snapshots/names.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";
import { withDirectory } from "../connectors/support.ts";
import { replacing } from "../driver/faulty-ports.ts";
import { type Death, Died, mortal, mortalCalls } from "../driver/mortal-ports.ts";
import { oneAListing } from "../ports/one-a-listing.ts";

const keys = 5;
const wait = { timeoutMs: 600_000 };

interface Event {
  readonly key: string;
  readonly n: number;
}

/**
 * Counts by key; of `broken`, the events of one key throw. `uid`: of the operator that counts. `interval`: of checkpoints, seconds. `events`:
 * how many there are; default: without end.
 */
function counting({
  broken = false,
  uid = "count",
  name = "counting",
  parallelism = 1,
  interval = 0.1,
  events = undefined as number | undefined,
} = {}): Job {
  const process = keyedProcess({
    key: type<string>(),
    state: { seen: value<number>() },
    output: type<{ readonly key: string; readonly seen: number }>(),
    onRecord({ key, n }: Event, ctx) {
      if (broken && key === "k3" && n % 2 === 1) throw new Error("broken");
      const seen = (ctx.state.seen.get() ?? 0) + 1;
      ctx.state.seen.set(seen);
      ctx.emit({ key, seen });
    },
  });
  const next = (n: number): Event => ({ key: `k${n % keys}`, n });
  return defineJob(
    name,
    (job) => {
      job
        .source("in", generator({ seed: 1, ratePerSecond: 2_000, next, ...(events !== undefined && { count: events }) }))
        .keyBy(({ key }) => key)
        .process(uid, process)
        .sinkTo("out", fileSink({ path: "counts", format: ndjson() }));
    },
    { parallelism, checkpoints: { interval: seconds(interval) } },
  );
}

/** An entry of state as it is exported. */
interface Exported {
  readonly operator: string;
  readonly state: string;
  readonly kind: string;
  readonly key: string;
  readonly window?: { readonly start: number; readonly end: number };
  readonly value: unknown;
}

const windowMs = 1_000;

/** Keeps state of every kind, and counts in windows, of which the last stay open. */
function keeping(): Job {
  const keep = keyedProcess({
    key: type<string>(),
    state: { last: value<{ n: number; text: string }>(), all: listOf<number>(), halves: map<string, number>() },
    output: type<never>(),
    onRecord({ n }: Event, { state }) {
      state.last.set({ n, text: `„${n}“` });
      state.all.add(n);
      state.halves.set(n % 2 === 0 ? "even" : "odd", n);
    },
  });
  return defineJob(
    "keeping",
    (job) => {
      const keyed = job
        .source("in", generator({ seed: 1, ratePerSecond: 2_000, next: (n): Event => ({ key: `k${n % keys}`, n }) }), {
          timestamps: ({ n }) => n * 10,
          watermarks: monotonous(),
        })
        .keyBy(({ key }) => key);
      keyed.process("keep", keep).sinkTo("none", fileSink({ path: "none", format: ndjson() }));
      keyed
        .window(tumbling(millis(windowMs)))
        .aggregate("windows", count())
        .sinkTo("out", fileSink({ path: "windows", format: ndjson() }));
    },
    { parallelism: 1, checkpoints: { interval: seconds(0.1) } },
  );
}

/** What `keeping` keeps of so many events: of windows those that the watermark has not closed. */
function stateOf(events: number): readonly Exported[] {
  const entries: Exported[] = [];
  const watermark = (events - 1) * 10 - 1;
  for (let k = 0; k < keys; k++) {
    const all = Array.from({ length: events }, (_, n) => n).filter((n) => n % keys === k);
    const last = all.at(-1)!;
    const entry = (state: string, kind: string, value: unknown) =>
      entries.push({ operator: "keep", state, kind, key: `k${k}`, value });
    entry("last", "value", { n: last, text: `„${last}“` });
    entry("all", "list", all);
    const half = (parity: number) => all.filter((n) => n % 2 === parity).at(-1)!;
    entry("halves", "map", all[0]! % 2 === 0 ? [["even", half(0)], ["odd", half(1)]] : [["odd", half(1)], ["even", half(0)]]); // prettier-ignore
    for (let start = 0; start < events * 10; start += windowMs) {
      const n = all.filter((at) => at * 10 >= start && at * 10 < start + windowMs).length;
      if (n > 0 && start + windowMs - 1 > watermark)
        entries.push({
          operator: "windows",
          state: "",
          kind: "",
          key: `k${k}`,
          window: { start, end: start + windowMs },
          value: n,
        });
    }
  }
  return entries;
}

interface Typed {
  readonly key?: Schema<any>;
  readonly last?: Schema<any>;
  readonly items?: Schema<any>;
  readonly migrate?: () => never;
  readonly counter?: typeof counter;
}

const counter = {
  create: () => ({ sum: 0, n: 0 }),
  add: ({ sum, n }: { sum: number; n: number }, event: Event) => ({ sum: sum + event.n, n: n + 1 }),
  merge: (a: { sum: number; n: number }, b: { sum: number; n: number }) => ({ sum: a.sum + b.sum, n: a.n + b.n }),
  result: ({ n }: { n: number }) => n,
};

/** Takes values of one type of JavaScript. */
function schemaOf(name: string): Schema<any> {
  const validate = (value: unknown) => (typeof value === name ? { value } : { issues: [{ message: `is no ${name}` }] });
  return { "~standard": { version: 1, vendor: "test", validate } };
}

/** Keeps state by key with the schemas that it is given, and accumulators. */
function typed({ key, last, items, migrate, counter: aggregator = counter }: Typed): Job {
  const keep = keyedProcess({
    key: type<string>(key),
    state: {
      last: value<number>({ ...(last && { schema: last }), ...(migrate && { version: 1, migrate }) }),
      items: listOf<number>({ ...(items && { schema: items }) }),
      total: aggregating(aggregator),
    },
    output: type<number>(),
    onRecord(event: Event, { state }) {
      state.last.set(event.n);
      state.items.add(event.n);
      state.total.add(event);
    },
  });
  const out = (name: string) => fileSink<any>({ path: name, format: ndjson() });
  return defineJob(
    "typed",
    (job) => {
      const keyed = job
        .source("in", generator({ seed: 1, ratePerSecond: 2_000, next: (n): Event => ({ key: `k${n % keys}`, n }) }), {
          timestamps: ({ n }) => n * 10,
          watermarks: monotonous(),
        })
        .keyBy(({ key: of }) => of);
      keyed.process("process", keep).sinkTo("a", out("a"));
      keyed
        .window(tumbling(hours(1)))
        .aggregate("windows", aggregator)
        .sinkTo("c", out("c"));
      keyed
        .window(sliding(hours(2), hours(1)))
        .aggregate("sliding", aggregator)
        .sinkTo("d", out("d"));
    },
    { parallelism: 1, checkpoints: { interval: seconds(0.1) } },
  );
}

/** As text, its members in order. */
function inOrder(entry: object): string {
  return JSON.stringify(Object.fromEntries(Object.entries(entry).sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** Runs the job until `work` is done, then waits for it to stop by an order, or stops it. */
async function whileRunning<T>(job: Job, options: LocalRunOptions, work: (run: LocalRun) => Promise<T>): Promise<T> {
  const run = await LocalRun.open(job, options);
  const ending = new AbortController();
  try {
    const ended = run.run(ending.signal);
    const result = await work(run);
    ending.abort();
    assert.equal(await ended, "stopped");
    return result;
  } finally {
    await run.close();
  }
}

async function takenIn(run: LocalRun, records: number, ended?: AbortSignal): Promise<void> {
  while (run.progress().totals.records < records && ended?.aborted !== true)
    await new Promise((resolve) => setTimeout(resolve, 5));
}

function placesIn(directory: string): { state: string; output: string } {
  return { state: join(directory, "state"), output: join(directory, "results") };
}

async function withTarget<T>(
  { state, output }: { state: string; output: string },
  work: (target: Target) => Promise<T>,
): Promise<T> {
  const target = await openLocalTarget(state, { output });
  try {
    return await work(target);
  } finally {
    await target.close();
  }
}

/** How often each key was counted up to which number: 1, 2, 3, … each, where all is right. */
async function assertCounted(output: string, from: Readonly<Record<string, number>> = {}): Promise<number> {
  const names = (await readdir(join(output, "counts"))).filter((name) => name.endsWith(".ndjson"));
  const texts = await Promise.all(names.map((name) => readFile(join(output, "counts", name), "utf8")));
  const counts: Record<string, number[]> = {};
  for (const line of texts.flatMap((text) => text.split("\n").filter((one) => one !== ""))) {
    const { key, seen } = JSON.parse(line) as { key: string; seen: number };
    (counts[key] ??= []).push(seen);
  }
  let rows = 0;
  for (const [key, seen] of Object.entries(counts)) {
    seen.sort((a, b) => a - b);
    const first = (from[key] ?? 0) + 1;
    assert.deepEqual(
      seen,
      Array.from(seen, (_, n) => first + n),
      key,
    );
    rows += seen.length;
  }
  return rows;
}

suite("orders to a job on this machine", () => {
  test("pause it, let it go on and stop it, and it is looked at meanwhile", () =>
    withDirectory(async (directory) => {
      const places = placesIn(directory);
      await withDirectoryOfJob(places, async (target, run) => {
        await takenIn(run, 300);
        const paused = await pause(target, wait);
        assert.equal(paused.code, undefined);
        const rests = await readStatus(target);
        assert.equal(rests.phase, "paused");
        assert.match(rests.runner!, /^process \d+$/);
        assert.equal((await resume(target, wait)).code, undefined);
        await takenIn(run, rests.totals.records + 100);
        assert.equal(((await stop(target, wait)).json as { phase: string }).phase, "stopped");
      });
      const { totals, phase, runner } = await withTarget(places, readStatus);
      assert.deepEqual([phase, runner], ["stopped", undefined]);
      assert.equal(await assertCounted(places.output), totals.records);
      // Whoever runs it again lets it go on.
      await whileRunning(counting(), places, (run) => takenIn(run, totals.records + 100));
      await assertCounted(places.output);
    }));

  test("stand until somebody runs it", () =>
    withDirectory(async (directory) => {
      const places = placesIn(directory);
      await whileRunning(counting(), places, (run) => takenIn(run, 100));
      const { code, lines } = await withTarget(places, (target) => stop(target, wait));
      assert.equal(code, exitCodes.notYet);
      assert.match(lines.join("\n"), /millrace run JOB --state /);
      const run = await LocalRun.open(counting(), places);
      assert.equal(await run.run(new AbortController().signal), "stopped");
      await run.close();
      assert.equal((await withTarget(places, readStatus)).phase, "stopped");
    }));

  for (const order of ["stop", "pause"] as const)
    test(`to ${order} come about where all input has been read meanwhile, at any parallelism, and nobody's are refused`, () =>
      withDirectory(async (directory) => {
        const places = placesIn(directory);
        const open = (parallelism: number) => LocalRun.open(counting({ parallelism, events: 150 }), places);
        const finish = async (parallelism: number) => {
          const run = await open(parallelism);
          assert.equal(await run.run(new AbortController().signal), "finished");
          await run.close();
        };
        await finish(1);
        for (const parallelism of [1, 2]) {
          await withTarget(places, (target) =>
            assert.rejects((order === "stop" ? stop : pause)(target, wait), /the job has finished/),
          );
          const run = await open(parallelism);
          await run.order({ kind: order, id: `${order}-${parallelism}` });
          const ended = new AbortController();
          const phase = order === "stop" ? "stopped" : "paused";
          const outcome = run.run(ended.signal);
          while (run.progress().phase !== phase) await new Promise((resolve) => setTimeout(resolve, 5));
          ended.abort();
          assert.equal(await outcome, "stopped");
          await run.close();
          assert.equal((await withTarget(places, readStatus)).phase, phase);
          await finish(parallelism);
          assert.equal((await withTarget(places, readStatus)).finished, true);
        }
        assert.equal(await assertCounted(places.output), 150);
      }));

  test("for a savepoint are one, given again by a command that has not waited to the end", () =>
    withDirectory(async (directory) => {
      const places = placesIn(directory);
      const order = async (target: Target, id?: string) => {
        const { json, code } = await savepoint(target, { ...wait, id });
        return { ...(json as { id: string; checkpoint: number | undefined }), code };
      };
      const savepoints = () =>
        withTarget(places, async (target) => (await recordOf(target)).retained.filter((kept) => kept.savepoint).length);
      await whileRunning(counting(), places, (run) => takenIn(run, 100));
      const first = await withTarget(places, order);
      assert.equal(first.code, exitCodes.notYet);
      assert.equal((await withTarget(places, order)).id, first.id, "the one that stands is waited for");
      await whileRunning(counting(), places, async (run) => {
        await takenIn(run, run.standing.totals.records + 100);
        const taken = await withTarget(places, (target) => order(target, first.id));
        assert.deepEqual([taken.id, taken.code], [first.id, undefined]);
        assert.deepEqual(await withTarget(places, (target) => order(target, first.id)), taken);
        assert.equal(await savepoints(), 1);
        const next = await withTarget(places, order);
        assert.ok(next.id !== first.id && next.checkpoint! > taken.checkpoint!);
        assert.deepEqual(await withTarget(places, (target) => order(target, first.id)), taken, "whatever was ordered since");
      });
      assert.equal(await savepoints(), 2);
    }));

  test("find stored values that the code does not take for what they are, and name the operator", () =>
    withDirectory(async (directory) => {
      const places = placesIn(directory);
      await whileRunning(typed({}), places, async (run) => {
        await takenIn(run, 200);
        await withTarget(places, (target) => stop(target, wait));
      });
      const checked = (job: Job) =>
        withTarget(places, async (target) => {
          const name = await checkpointOf(target, "latest");
          const { ports } = target;
          const at = { record: await recordOf(target), name, ports };
          const { json, code, lines } = await check(planJob(job), await readManifest(name, ports), at);
          const { differences, keysRead } = json as { differences: { operator: string; text: string }[]; keysRead?: number };
          return { code, lines, keysRead, found: differences.map(({ text }) => text).sort() };
        });
      const same = await checked(typed({}));
      assert.deepEqual([same.code, same.found], [exitCodes.done, []]);
      assert.ok(same.keysRead! >= 3 * keys, `${same.keysRead} keys were read`);
      for (const [other, ...texts] of [
        [{ key: schemaOf("number") }, /^operator process: its keys: .*stored "k\d"$/],
        [{ last: schemaOf("string") }, /^operator process: state last: .*stored for key "k\d": \d+$/],
        [{ items: schemaOf("string") }, /^operator process: state items: .*stored for key "k\d": \d+$/],
        [
          { counter: { ...counter, create: () => ({ sum: 0, n: 0n }) as any } },
          /^operator process: state total: the accumulator's n is a number, this code takes it for a bigint, stored/,
          /^operator sliding: state slices: the accumulator's n is a number/,
          /^operator windows: state contents: the accumulator's n is a number/,
        ],
        [{ migrate: () => assert.fail("no") }, /^migrate of state last of operator process threw/],
      ] as const) {
        const { code, found } = await checked(typed(other as Typed));
        assert.equal(code, exitCodes.doesNotFit);
        assert.equal(found.length, texts.length, found.join("\n"));
        for (const [n, text] of texts.entries()) assert.match(found[n]!, text as RegExp);
      }
    }));

  test("take it back to a checkpoint, to another parallelism, and to code that fits alone", () =>
    withDirectory(async (directory) => {
      const places = placesIn(directory);
      await whileRunning(counting(), places, (run) => takenIn(run, 400));
      const from = await withTarget(places, async (target) => {
        const found = (await checkpoints(target)).json as readonly { number: number }[];
        return checkpointOf(target, String(found[0]!.number));
      });
      const manifest = await withTarget(places, (target) => readManifest(from, target.ports));
      assert.equal((await check(planJob(counting()), manifest, undefined)).code, exitCodes.done);
      const refused = await check(planJob(counting({ uid: "counter" })), manifest, undefined);
      assert.equal(refused.code, exitCodes.doesNotFit);
      assert.match(refused.lines.join("\n"), /operator count: operator removed/);

      await whileRunning(counting(), { ...places, from }, (run) => takenIn(run, manifest.totals.records + 100));
      await assertCounted(places.output);
      for (const parallelism of [3, 2]) {
        await whileRunning(counting(), { ...places, rescaleTo: parallelism }, async () => undefined);
        // Asked for once, it stays.
        await whileRunning(counting(), places, (run) => takenIn(run, run.standing.totals.records + 100));
        const { tasks } = await withTarget(places, readStatus);
        assert.equal(tasks.filter(({ stage }) => stage === "count").length, parallelism);
        await assertCounted(places.output);
      }
    }));
});

/** A target of the job while it runs; ends when the job has stopped by an order. */
async function withDirectoryOfJob(
  places: { state: string; output: string },
  work: (target: Target, run: LocalRun) => Promise<void>,
): Promise<void> {
  await whileRunning(counting(), places, (run) => withTarget(places, (target) => work(target, run)));
}

suite("a process that dies at a call of a port", () => {
  /** Opens the job with ports that die at a call, and does something with it. Returns whether it died. */
  async function dying(options: LocalRunOptions, death: Death, work: (run: LocalRun) => Promise<void>): Promise<boolean> {
    let run: LocalRun | undefined;
    try {
      run = await LocalRun.open(counting(), { ...options, around: (ports) => mortal(ports, death.at, death.when) });
      await work(run);
      return false;
    } catch (error) {
      if (!(error instanceof Died)) throw error;
      return true;
    } finally {
      await run?.close();
    }
  }

  test("while the job goes back to a checkpoint: given again, the command comes to the same", () =>
    withDirectory(async (directory) => {
      const places = placesIn(directory);
      await whileRunning(counting(), places, async (run) => {
        await takenIn(run, 300);
        await withTarget(places, (target) => savepoint(target, wait));
      });
      const from = await withTarget(
        places,
        async (target) => (await recordOf(target)).retained.find((it) => it.savepoint)!.manifest,
      );
      const { totals } = await withTarget(places, (target) => readManifest(from, target.ports));
      let deaths = 0;
      for (let at = 1, died = true; died; at++)
        for (const when of ["before", "after"] as const) {
          // What is put out beyond the savepoint each time is to be taken back.
          await whileRunning(counting(), places, (run) => takenIn(run, run.standing.totals.records + 20));
          died = await dying({ ...places, from }, { at, when }, async () => undefined);
          deaths += Number(died);
          const back = await LocalRun.open(counting(), { ...places, from });
          await back.close();
          assert.equal(back.standing.totals.records, totals.records, `${when} call ${at}`);
          assert.equal(await assertCounted(places.output), totals.records, `${when} call ${at}`);
        }
      assert.ok(deaths > 20, `it died ${deaths} times`);
      await whileRunning(counting(), places, (run) => takenIn(run, totals.records + 100));
      await assertCounted(places.output);
    }));

  test("for a savepoint whose answer was lost says its name beforehand and in the error, and takes one by it", () =>
    withDirectory(async (directory) => {
      const places = placesIn(directory);
      await whileRunning(counting(), places, (run) =>
        withTarget(places, async (target) => {
          await takenIn(run, 100);
          const said: string[] = [];
          const lost: Target["order"] = async (given) => {
            await run.order(given);
            throw new MillraceError("unavailable", "no answer");
          };
          const options = { ...wait, say: (line: string) => void said.push(line) };
          const error = await savepoint({ ...target, kind: "aws", order: lost }, options).then(
            () => assert.fail("it was answered"),
            (reason: MillraceError) => reason,
          );
          const printed: string[] = [];
          assert.equal(
            reportError(error, (line) => void printed.push(line), true),
            exitCodes.unavailable,
          );
          const { order } = (JSON.parse(printed[0]!) as { error: { order: string } }).error;
          const [again, message] = [said.join(), error.message].map(
            (text) => /millrace savepoint --order (\S+) /.exec(text)?.[1],
          );
          assert.deepEqual([again, message], [order, order]);
          const { json } = await savepoint(target, { ...wait, id: order });
          const { checkpoint } = json as { checkpoint: number };
          const retained = (await recordOf(target)).retained.filter((kept) => kept.savepoint);
          assert.deepEqual(
            retained.map((kept) => [kept.order, kept.manifest]),
            [[order, await checkpointOf(target, String(checkpoint))]],
          );
        }),
      );
    }));

  test("to go back whose answer was lost is done once, given again by its name", () =>
    withDirectory(async (directory) => {
      const places = placesIn(directory);
      await whileRunning(counting(), places, (run) =>
        withTarget(places, async (target) => {
          await takenIn(run, 100);
          const { checkpoint } = (await savepoint(target, wait)).json as { checkpoint: number };
          await takenIn(run, run.progress().totals.records + 100);
          const goBack = async (id?: string, lost = false) => {
            const order: Target["order"] = async (given) => {
              await run.order(given);
              if (lost) throw new MillraceError("unavailable", "no answer");
              return recordOf(target);
            };
            const manifest = await checkpointOf(target, String(checkpoint));
            return restore({ ...target, order }, manifest, { ...wait, command: "rollback --to", id });
          };
          const named = new RegExp(`millrace rollback --to ${checkpoint} --order (\\S+) `);
          const message = await goBack(undefined, true).then(
            () => assert.fail("it was answered"),
            (error: MillraceError) => error.message,
          );
          const [, id] = named.exec(message) ?? assert.fail(message);
          for (let again = 0; again < 2; again++) {
            const { json, code } = await goBack(id);
            const { generation, phase } = json as { generation: number; phase: string };
            assert.deepEqual([code, generation, phase], [undefined, 2, "running"]);
          }
        }),
      );
      await assertCounted(places.output);
    }));

  test("while the job is stopped, as for a change of its code: the next run goes on from where it was", () =>
    withDirectory(async (directory) => {
      const places = placesIn(directory);
      await whileRunning(counting(), places, (run) => takenIn(run, 100));
      let deaths = 0;
      for (let at = 1; at < 120; at += 1 + Math.floor(at / 8)) {
        const died = await dying(places, { at, when: at % 2 === 0 ? "before" : "after" }, async (run) => {
          const ending = new AbortController();
          const ended = run.run(ending.signal);
          ended.catch(() => undefined);
          const records = run.standing.totals.records + 20;
          await Promise.race([takenIn(run, records, ending.signal), ended.finally(() => ending.abort())]);
          ending.abort();
          assert.equal(await ended, "stopped");
        });
        deaths += Number(died);
        await whileRunning(counting(), places, (run) => takenIn(run, run.standing.totals.records + 20));
        await assertCounted(places.output);
      }
      assert.ok(deaths > 10, `it died ${deaths} times`);
    }));
});

suite("dead letters", () => {
  for (const parallelism of [1, 2])
    test(`are given back once, wherever the command dies, at parallelism ${parallelism}`, () =>
      withDirectory(async (directory) => {
        const places = placesIn(directory);
        await whileRunning(counting({ broken: true, parallelism }), places, async (run) => {
          await takenIn(run, 400);
          await withTarget(places, (target) => stop(target, wait));
        });
        const { letters } = await withTarget(
          places,
          async (target) => (await list(target, { limit: 3 })).json as { letters: number },
        );
        assert.ok(letters > 10, `${letters} were put aside`);
        let given = 0;
        for (let at = 1, died = true; died; at++)
          for (const when of ["before", "after"] as const)
            await withTarget(places, async (target) => {
              const around = mortalCalls({ at, when });
              const { journal, blobs, ...others } = target.ports;
              const ports = { ...others, journal: around(journal), blobs: around(blobs) };
              try {
                const back = await giveBack({ ...target, ports }, {});
                given += (back.given.in ?? 0) + (back.sent.count ?? 0);
                died = false;
              } catch (error) {
                if (!(error instanceof Died)) throw error;
              }
            });
        assert.ok(given === 0 || given === letters, `${given} of ${letters} were said to be given back`);
        assert.equal((await withTarget(places, (target) => giveBack(target, {}))).before, letters);
        const listed = await withTarget(places, (target) => list(target, { limit: 1 }));
        const { groups, latest } = listed.json as { groups: { givenBack: number }[]; latest: { givenBack: boolean }[] };
        assert.deepEqual([groups.reduce((sum, { givenBack }) => sum + givenBack, 0), latest[0]!.givenBack], [letters, true]);
        assert.doesNotMatch(listed.lines.join("\n"), /redrive/);

        await whileRunning(counting({ parallelism }), places, async (run) => {
          await takenIn(run, run.standing.totals.records + letters + 100);
          await withTarget(places, (target) => stop(target, wait));
        });
        const { totals, sources } = await withTarget(places, readStatus);
        assert.deepEqual(
          sources.map(({ shard, position }) => [shard, position === "end"]),
          [
            ["generator-0", false],
            // Behind an exchange they are no input of the source's.
            ...(parallelism === 1 ? [["redrive-000001", true]] : []),
          ],
        );
        assert.equal(await assertCounted(places.output), totals.records - (parallelism === 1 ? letters : 0));
      }));

  for (const parallelism of [1, 2])
    test(`that were put aside after the checkpoint that a job goes back to do not come twice, at parallelism ${parallelism}`, () =>
      withDirectory(async (directory) => {
        const places = placesIn(directory);
        const runTo = (records: number, broken: boolean, from?: BlobName) =>
          whileRunning(counting({ broken, parallelism }), { ...places, ...(from && { from }) }, async (run) => {
            await takenIn(run, run.standing.totals.records + records);
            await withTarget(places, (target) => stop(target, wait));
          });
        const lettersOf = () =>
          withTarget(places, async (target) => ((await list(target, { limit: 0 })).json as { letters: number }).letters);
        await runTo(200, true);
        const before = await lettersOf();
        const from = await withTarget(places, (target) => checkpointOf(target, "latest"));
        await runTo(200, true);
        assert.ok((await lettersOf()) > before && before > 0);
        await withTarget(places, (target) => giveBack(target, {}));
        await runTo(200, false);
        await runTo(600, false, from);
        const { sources } = await withTarget(places, readStatus);
        const made = Number(sources.find(({ shard }) => shard === "generator-0")!.position);
        assert.equal(await assertCounted(places.output), made);
      }));

  test("of files whose header line names the fields go through with it", () =>
    withDirectory(async (directory) => {
      const places = placesIn(directory);
      const file = join(directory, "orders.csv");
      await writeFile(file, "amount,of\n1,ann\n2,bob\n3,ann\n");
      const job = (broken: boolean) =>
        defineJob(
          "orders",
          (it) => {
            it.source("orders", files({ paths: file, format: csv() }))
              .map("checked", (order) => {
                if (broken && order.of === "ann") throw new Error("broken");
                return order;
              })
              .sinkTo("out", fileSink({ path: "orders", format: ndjson() }));
            // Goes on when the file has ended.
            it.source("in", generator({ seed: 1, ratePerSecond: 1_000, next: (n) => n })).sinkTo(
              "none",
              fileSink({ path: "none", format: ndjson() }),
            );
          },
          { parallelism: 1, checkpoints: { interval: seconds(0.1) } },
        );
      await whileRunning(job(true), places, async (run) => {
        await takenIn(run, 100);
        await withTarget(places, (target) => stop(target, wait));
      });
      assert.deepEqual((await withTarget(places, (target) => giveBack(target, {}))).given, { orders: 2 });
      await whileRunning(job(false), places, async (run) => {
        await takenIn(run, run.standing.totals.records + 100);
        await withTarget(places, (target) => stop(target, wait));
      });
      const names = (await readdir(join(places.output, "orders"))).filter((name) => name.endsWith(".ndjson"));
      const texts = await Promise.all(names.map((name) => readFile(join(places.output, "orders", name), "utf8")));
      const rows = texts
        .flatMap((text) => text.split("\n").filter((line) => line !== ""))
        .map((line) => JSON.parse(line) as object);
      assert.deepEqual(rows.map((row) => Object.values(row).join()).sort(), ["1,ann", "2,bob", "3,ann"]);
    }));

  for (const parallelism of [1, 2])
    test(`of windows that failed and of rows that a sink could not write are given back, at parallelism ${parallelism}`, () =>
      withDirectory(async (directory) => {
        const places = placesIn(directory);
        const lines = ndjson<{ readonly key: string }>();
        const refusing: typeof lines = {
          ...lines,
          encode(row) {
            if (row.key === "k2") throw new Error("refused");
            return lines.encode(row);
          },
        };
        const windowEvents = 20;
        const windowSize = windowEvents * 50;
        const job = (broken: boolean) =>
          defineJob(
            "windows",
            (it) =>
              it
                .source("in", generator({ seed: 1, ratePerSecond: 2_000, next: (n): Event => ({ key: `k${n % keys}`, n }) }), {
                  timestamps: ({ n }) => n * 50,
                  watermarks: monotonous(),
                })
                .keyBy(({ key }) => key)
                .window(tumbling(millis(windowSize)))
                .aggregate("count", count(), (key, { start }, n) => {
                  if (broken && key === "k1") throw new Error("broken");
                  return { key, start, n };
                })
                .sinkTo("out", fileSink({ path: "counts", format: broken ? refusing : ndjson() })),
            { parallelism, checkpoints: { interval: seconds(0.1) } },
          );
        for (const broken of [true, false]) {
          await whileRunning(job(broken), places, async (run) => {
            await takenIn(run, run.standing.totals.records + 300);
            await withTarget(places, (target) => stop(target, wait));
          });
          if (!broken) break;
          const { sent, others } = await withTarget(places, (target) => giveBack(target, {}));
          assert.deepEqual([Object.keys(sent).sort(), others], [["count", "out"], 0]);
        }
        const names = (await readdir(join(places.output, "counts"))).filter((name) => name.endsWith(".ndjson"));
        const texts = await Promise.all(names.map((name) => readFile(join(places.output, "counts", name), "utf8")));
        const rows = texts.flatMap((text) =>
          text
            .split("\n")
            .filter((line) => line !== "")
            .map((line) => JSON.parse(line)),
        );
        const starts = rows.map(({ start }) => start as number);
        const expected: unknown[] = [];
        for (let start = 0; start <= Math.max(...starts); start += windowSize)
          for (let k = 0; k < keys; k++) expected.push([`k${k}`, start, windowEvents / keys]);
        const found = rows.map(({ key, start, n }) => [key, start, n]);
        const text = (items: readonly unknown[]) => items.map((item) => JSON.stringify(item)).sort();
        assert.deepEqual(text(found), text(expected));
      }));

  test("that a restore takes back are not given back", () =>
    withDirectory(async (directory) => {
      const places = placesIn(directory);
      await whileRunning(counting({ broken: true }), places, async (run) => {
        await takenIn(run, 200);
        await withTarget(places, (target) => stop(target, wait));
      });
      const latest = await withTarget(places, (target) => checkpointOf(target, "latest"));
      const before = await withTarget(places, async (target) => (await list(target, { limit: 0 })).json as { letters: number });
      await whileRunning(counting({ broken: true }), places, (run) => takenIn(run, 400));
      const run = await LocalRun.open(counting(), { ...places, from: latest });
      await run.close();
      const after = await withTarget(places, async (target) => (await list(target, { limit: 0 })).json as { letters: number });
      assert.equal(after.letters, before.letters);
    }));
});

suite("state and forks", () => {
  test("state that is exported is the state, as Parquet and as lines", () =>
    withDirectory(async (directory) => {
      const places = placesIn(directory);
      const job = keeping();
      await whileRunning(job, places, async (run) => {
        await takenIn(run, 300);
        await withTarget(places, (target) => stop(target, wait));
      });
      const { totals } = await withTarget(places, readStatus);
      const exportTo = (format: string) =>
        withTarget(places, async (target) => {
          const to = join(directory, `state.${format}`);
          const { json } = await exportState(target, planJob(job), { at: undefined, operator: undefined, format, to });
          return { to, entries: (json as { entries: number }).entries };
        });
      const [parquet, ndjson] = [await exportTo("parquet"), await exportTo("ndjson")];

      const lines = (await readFile(ndjson.to, "utf8")).split("\n").filter((line) => line !== "");
      const asLines = lines.map((line) => JSON.parse(line) as Exported);
      const rows = await parquetReadObjects({ file: await asyncBufferFromFile(parquet.to) });
      const asRows = rows.map(({ operator, state, kind, key, value, window_start: start, window_end: end }): Exported => {
        const window = start === null ? undefined : { start: (start as Date).getTime(), end: (end as Date).getTime() };
        const parsed = { key: JSON.parse(key as string) as string, value: JSON.parse(value as string) as unknown };
        return {
          operator: operator as string,
          state: state as string,
          kind: kind as string,
          ...parsed,
          ...(window && { window }),
        };
      });
      assert.equal(parquet.entries, rows.length);
      assert.equal(ndjson.entries, lines.length);
      assert.deepEqual(asRows.map(inOrder).sort(), asLines.map(inOrder).sort());

      const expected = stateOf(totals.records);
      const kept = asRows.filter(({ operator }) => operator === "keep");
      assert.deepEqual(
        kept.map(inOrder).sort(),
        expected
          .filter(({ operator }) => operator === "keep")
          .map(inOrder)
          .sort(),
      );
      const windows = asRows
        .filter(({ operator }) => operator === "windows")
        .map(({ key, window, value }) => ({ key, window, value }));
      const open = expected
        .filter(({ operator }) => operator === "windows")
        .map(({ key, window, value }) => ({ key, window, value }));
      assert.ok(open.length > 0);
      assert.deepEqual(windows.map(inOrder).sort(), open.map(inOrder).sort());
    }));

  test("a fork that dies while it is made is made again, and goes on as a job of its own", () =>
    withDirectory(async (directory) => {
      const places = placesIn(directory);
      await whileRunning(counting({ parallelism: 2 }), places, async (run) => {
        await takenIn(run, 400);
        await withTarget(places, (target) => stop(target, wait));
      });
      const into = join(directory, "forked");
      const options = { ...wait, to: "local", directory: into, name: "twin", from: undefined, freshInput: false, replace: false };
      let deaths = 0;
      for (let at = 1, died = true; died; at++)
        await withTarget(places, async (target) => {
          const { blobs, ...others } = target.ports;
          try {
            await fork({ ...target, ports: { ...others, blobs: mortalCalls({ at, when: "after" })(blobs) } }, options);
            died = false;
          } catch (error) {
            if (!(error instanceof Died)) throw error;
            deaths++;
          }
        });
      assert.ok(deaths > 3, `it died ${deaths} times`);
      const seen: Record<string, number> = {};
      await withTarget(places, async (target) => {
        const graph = planJob(counting({ parallelism: 2 }));
        for (let k = 0; k < keys; k++) {
          const { json } = await getState(target, graph, "count", `k${k}`, { at: undefined });
          seen[`k${k}`] = (json as { entries: { value: number }[] }).entries[0]!.value;
        }
        const { states } = (await listState(target, graph, { at: "latest" })).json as { states: { keys: number }[] };
        assert.equal(states[0]!.keys, keys);
      });
      const own = { state: into, output: join(directory, "own") };
      const stoppedAt = await withTarget(places, async (target) => (await recordOf(target)).lastCheckpoint);
      await whileRunning(counting({ name: "twin" }), own, async (run) => {
        assert.equal(run.standing.checkpoint, stoppedAt);
        await takenIn(run, run.standing.totals.records + 200);
      });
      assert.ok((await assertCounted(own.output, seen)) >= 200);
      // What it copied is its own: the other job is gone on with, and forked onto nothing that runs.
      await whileRunning(counting({ parallelism: 2 }), places, (run) => takenIn(run, run.standing.totals.records + 100));
      await assertCounted(places.output);
      await assert.rejects(
        withTarget(places, (target) => fork(target, options)),
        (error) => isKind(error, "invalid"),
      );
    }));

  for (const when of ["before", "after"] as const)
    test(`a fork onto a job that has run takes its place once, wherever the command dies ${when} a call`, () =>
      withDirectory(async (directory) => {
        const places = placesIn(directory);
        await whileRunning(counting(), places, async (run) => {
          await takenIn(run, 300);
          await withTarget(places, (target) => stop(target, wait));
        });
        const seen = await withTarget(places, async (target) => (await readStatus(target)).totals.records);
        const green = { state: join(directory, "green"), output: join(directory, "own") };
        const twin = counting({ name: "twin" });
        await whileRunning(twin, green, async (run) => {
          await takenIn(run, 100);
          await withTarget(green, (target) => stop(target, wait));
        });
        const options = { ...wait, from: "latest", freshInput: false, replace: true };
        let deaths = 0;
        for (let at = 1, died = true; died; at++)
          await withTarget(places, (source) =>
            withTarget(green, async (target) => {
              const around = mortalCalls({ at, when });
              const { journal, blobs, ...others } = target.ports;
              const ports = { ...others, journal: around(journal), blobs: around(blobs) };
              // As a coordinator does, with the job's code.
              const order: Target["order"] = async () => {
                await (await LocalRun.open(twin, green)).close();
                return recordOf(target);
              };
              try {
                const runner = async () => "somebody";
                await forkOnto(source, { ...target, ports, order, runner }, options);
                died = false;
              } catch (error) {
                if (!(error instanceof Died)) throw error;
                deaths++;
              }
            }),
          );
        assert.ok(deaths > 3, `it died ${deaths} times`);
        const { generation, totals } = await withTarget(green, readStatus);
        assert.deepEqual([generation, totals.records], [2, seen]);
        await whileRunning(twin, green, (run) => takenIn(run, seen + 100));
        const counted = Object.fromEntries(Array.from({ length: keys }, (_, k) => [`k${k}`, Math.ceil((seen - k) / keys)]));
        // What it had put out before is taken back.
        assert.ok((await assertCounted(green.output, counted)) >= 100);
      }));

  test("what a fork copies is nobody else's: who collects the garbage of the job that was there leaves it", () =>
    withDirectory(async (directory) => {
      const places = placesIn(directory);
      await whileRunning(counting(), places, async (run) => {
        await takenIn(run, 100);
        await withTarget(places, (target) => stop(target, wait));
      });
      const seen = await withTarget(places, async (target) => (await readStatus(target)).totals.records);
      const task = id<TaskId>("g1.in~all");
      const headIn = (where: typeof places) =>
        withTarget(where, async ({ ports }) => (await ports.journal.tail(task, "head")).entries.at(-1)!.seq);
      const green = { state: join(directory, "green"), output: join(directory, "own") };
      const twin = counting({ name: "twin" });
      await whileRunning(twin, green, async (run) => {
        // What the fork copies was written for entries that a task of the same name there has behind it.
        const last = await headIn(places);
        do await takenIn(run, run.progress().totals.records + 100);
        while ((await headIn(green)) <= last);
        await withTarget(green, (target) => stop(target, wait));
      });
      await withTarget(places, (source) =>
        withTarget(green, async (target) => {
          const ports = replacing("journal", "write", (write) => async (...args) => {
            if (args[0] === jobRing) await collectGarbage("twin", target.ports as Ports, allSafeguards);
            return write(...args);
          })(target.ports as Ports);
          const order: Target["order"] = async () => {
            await (await LocalRun.open(twin, green)).close();
            return recordOf(target);
          };
          const options = { ...wait, from: "latest", freshInput: false, replace: true };
          await forkOnto(source, { ...target, ports, order, runner: async () => "somebody" }, options);
        }),
      );
      const { json } = await withTarget(green, (target) => listState(target, planJob(twin), { at: "latest" }));
      assert.equal((json as { states: { keys: number }[] }).states[0]!.keys, keys);
      await whileRunning(twin, green, (run) => takenIn(run, seen + 100));
      const counted = Object.fromEntries(Array.from({ length: keys }, (_, k) => [`k${k}`, Math.ceil((seen - k) / keys)]));
      assert.ok((await assertCounted(green.output, counted)) >= 100);
    }));

  test("a fork whose place a job takes meanwhile leaves that job's checkpoints to it", () =>
    withDirectory(async (directory) => {
      const places = placesIn(directory);
      const interval = 3_600;
      const savepoints = 3;
      await whileRunning(counting({ interval }), places, async (run) => {
        await takenIn(run, 300);
        for (let n = 1; n < savepoints; n++) await withTarget(places, (target) => savepoint(target, wait));
        await withTarget(places, (target) => stop(target, wait));
      });
      const own = { state: join(directory, "forked"), output: join(directory, "own") };
      const twin = counting({ name: "twin", interval });
      const into = { ...wait, to: "local", directory: own.state, name: "twin" };
      let begun: Promise<void> | undefined;
      const fails = withTarget(places, ({ ports: { blobs, ...others }, ...target }) => {
        const get = async (...args: Parameters<typeof blobs.get>) => {
          // It is copied what the manifest refers to: nobody had begun when that was asked for.
          if (!args[0].startsWith("manifests/")) await (begun ??= whileRunning(twin, own, (run) => takenIn(run, 100)));
          return blobs.get(...args);
        };
        const ports = { ...others, blobs: { get, list: (...args: Parameters<typeof blobs.list>) => blobs.list(...args) } };
        return fork({ ...target, ports } as Target, { ...into, from: undefined, freshInput: false, replace: false });
      });
      await assert.rejects(fails, (error) => isKind(error, "unavailable"));
      const forked = await withTarget(places, async (target) => (await recordOf(target)).lastCheckpoint);
      const before = await withTarget(own, async (target) => (await recordOf(target)).lastCheckpoint);
      assert.ok(before < forked, `the job has taken ${before} checkpoints, the fork's is number ${forked}`);
      const taken: string[] = [];
      await whileRunning(twin, own, async (run) => {
        await takenIn(run, run.standing.totals.records + 100);
        for (let n = before; n < forked; n++) {
          const { json } = await withTarget(own, (target) => savepoint(target, wait));
          taken.push((json as { manifest: string }).manifest);
        }
      });
      for (const name of taken) {
        const { job } = await withTarget(own, (target) => readManifest(name as BlobName, target.ports));
        assert.equal(job, "twin", name);
      }
      await assertCounted(own.output);
    }));

  test("what every job names alike is a fork's once its place is, and nothing begins there before", () =>
    withDirectory(async (directory) => {
      const places = placesIn(directory);
      await whileRunning(counting(), places, async (run) => {
        await takenIn(run, 200);
        await withTarget(places, (target) => stop(target, wait));
      });
      const own = { state: join(directory, "forked"), output: join(directory, "own") };
      const twin = counting({ name: "twin" });
      const options = {
        ...wait,
        to: "local",
        directory: own.state,
        name: "twin",
        from: undefined,
        freshInput: false,
        replace: false,
      };
      const listing = "sources/in/objects" as BlobName;
      await withTarget(places, ({ ports }) => ports.blobs.put(listing, Buffer.from("the job's")));
      const green = await openLocal(own.state, { job: "twin" });
      await green.blobs.put(listing, Buffer.from("the twin's"));
      await green.blobs.put("sources/other/objects" as BlobName, Buffer.from("the twin's"));
      await green.close();
      const settled = () =>
        withTarget(own, async ({ ports: { blobs } }) => {
          const names = await namesUnder(blobs, "sources/");
          const texts = await Promise.all(names.map((name) => blobs.get(name)));
          return texts.map((text) => Buffer.from(text!).toString());
        });

      const dies = withTarget(places, ({ ports: { blobs, ...others }, ...target }) => {
        const list = () => Promise.reject(new Died());
        const ports = { ...others, blobs: { get: (...args: Parameters<typeof blobs.get>) => blobs.get(...args), list } };
        return fork({ ...target, ports } as unknown as Target, options);
      });
      await assert.rejects(dies, Died);
      assert.deepEqual(await settled(), ["the twin's", "the twin's"]);
      const begun = LocalRun.open(twin, own).then((run) => run.close());
      await assert.rejects(begun, (error) => isKind(error, "invalid") && /give millrace fork again/.test(error.message));

      await withTarget(places, (target) => fork(target, options));
      assert.deepEqual(await settled(), ["the job's"]);
      await whileRunning(twin, own, (run) => takenIn(run, run.standing.totals.records + 100));
    }));

  test("of what every job names alike nothing is missing or left over, however little a listing says", () =>
    withDirectory(async (directory) => {
      const blue = placesIn(directory);
      const green = { state: join(directory, "green"), output: join(directory, "own") };
      for (const [name, places] of [["counting", blue] as const, ["twin", green] as const])
        await whileRunning(counting({ name }), places, async (run) => {
          await takenIn(run, 100);
          await withTarget(places, (target) => stop(target, wait));
        });
      const listings = (...sources: readonly string[]) => sources.map((source) => `sources/${source}/objects` as BlobName);
      const inBits = ({ ports: { blobs, ...others }, ...target }: Target): Target => ({
        ...target,
        ports: { ...others, blobs: oneAListing(blobs) },
      });
      await withTarget(blue, (source) =>
        withTarget(green, async (target) => {
          for (const name of listings("a", "b", "c")) await source.ports.blobs.put(name, Buffer.from("the job's"));
          for (const name of listings("x", "y", "z")) await target.ports.blobs.put(name, Buffer.from("the twin's"));
          const order: Target["order"] = async () => {
            await (await LocalRun.open(counting({ name: "twin" }), green)).close();
            return recordOf(target);
          };
          const options = { ...wait, from: "latest", freshInput: false, replace: true };
          await forkOnto(inBits(source), { ...inBits(target), order, runner: async () => "somebody" }, options);
          assert.deepEqual(await namesUnder(target.ports.blobs, "sources/"), listings("a", "b", "c"));
        }),
      );
    }));

  test("a fork of a job that runs, left on its way, is made again from the savepoint of the second time", () =>
    withDirectory(async (directory) => {
      const places = placesIn(directory);
      const own = { state: join(directory, "forked"), output: join(directory, "own") };
      const options = {
        ...wait,
        to: "local",
        directory: own.state,
        name: "counting",
        from: undefined,
        freshInput: false,
        replace: false,
      };
      const checkpoint = await whileRunning(counting(), places, async (run) => {
        await takenIn(run, 200);
        const dies = withTarget(places, ({ ports: { blobs, ...others }, ...target }) => {
          const list = () => Promise.reject(new Died());
          const get: typeof blobs.get = (...args) => blobs.get(...args);
          return fork({ ...target, ports: { ...others, blobs: { get, list } } } as unknown as Target, options);
        });
        await assert.rejects(dies, Died);
        assert.equal((await withTarget(own, recordOf)).adopting !== undefined, true);
        const { json } = await withTarget(places, (target) => fork(target, options));
        return (json as { checkpoint: number }).checkpoint;
      });
      const { lastCheckpoint, adopting } = await withTarget(own, recordOf);
      assert.deepEqual([lastCheckpoint, adopting], [checkpoint, undefined]);
      await whileRunning(counting(), own, (run) => takenIn(run, run.standing.totals.records + 100));
      await assert.rejects(
        withTarget(places, (target) => fork(target, options)),
        (error) => isKind(error, "invalid") && /is there already, choose another place/.test(error.message),
      );
    }));

  test("a job that rests says to what it was ordered in vain how it goes on", () =>
    withDirectory(async (directory) => {
      const places = placesIn(directory);
      const refused = (order: Promise<unknown>, says: RegExp) =>
        assert.rejects(order, (error) => isKind(error, "invalid") && says.test(error.message));
      await whileRunning(counting(), places, async (run) => {
        await takenIn(run, 50);
        await withTarget(places, async (target) => {
          await pause(target, wait);
          await refused(savepoint(target, wait), /paused.*millrace resume --state .*state --output .*results$/);
          await stop(target, wait);
        });
      });
      await withTarget(places, async (target) => {
        await refused(savepoint(target, wait), /stopped.*millrace start JOB --state /);
        await refused(pause(target, wait), /stopped.*millrace start JOB --state /);
        await refused(checkpointOf(target, "99"), /no checkpoint "99" is kept; .*millrace checkpoints --state \S+ --output \S+$/);
      });
    }));

  test("state that cannot be written is told of, in either format", () =>
    withDirectory(async (directory) => {
      const places = placesIn(directory);
      await whileRunning(counting(), places, (run) => takenIn(run, 50));
      for (const format of ["ndjson", "parquet"])
        await withTarget(places, (target) =>
          assert.rejects(
            exportState(target, planJob(counting()), {
              at: undefined,
              operator: undefined,
              format,
              to: join(directory, "none", "state"),
            }),
            (error) => isKind(error, "invalid") && /cannot be written: ENOENT/.test(error.message),
          ),
        );
    }));

  test("state is found by keys of any type, as they are written on a command line", () =>
    withDirectory(async (directory) => {
      const places = placesIn(directory);
      const long = 12_345_678_901_234_567_890n;
      const kinds: readonly Key[] = [long, 7, true, "7 x", ["a", 1]];
      const keep = keyedProcess({
        key: type<Key>(),
        state: { n: value<number>() },
        output: type<never>(),
        onRecord: ({ n }: Event, { state }) => state.n.set(n),
      });
      const job = defineJob("typed-keys", (typedKeys) => {
        typedKeys
          .source("in", generator({ seed: 1, count: kinds.length, next: (n): Event => ({ key: "", n }) }))
          .keyBy(({ n }) => kinds[n]!)
          .process("keep", keep)
          .sinkTo("none", fileSink({ path: "none", format: ndjson() }));
      });
      const run = await LocalRun.open(job, places);
      await run.run(new AbortController().signal);
      await run.close();
      await withTarget(places, async (target) => {
        for (const [n, text] of [String(long), "7", "true", "7 x", '["a",1]'].entries()) {
          const { json } = await getState(target, planJob(job), "keep", text, { at: undefined });
          assert.equal((json as { entries: { value: number }[] }).entries[0]!.value, n, text);
        }
        await assert.rejects(
          getState(target, planJob(job), "kept", "7", { at: undefined }),
          /no operator "kept"; there are: in, keep/,
        );
      });
    }));
});
