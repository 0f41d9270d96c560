/** What is too long for an item of DynamoDB lies in S3: of a job with thousands of shards the record, acknowledgements and seals. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { openMemory } from "../../runtime/adapters/memory/open-memory.ts";
import { encodeValue } from "../../runtime/base/message-pack.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { id, type Position, type ShardId, type TaskId } from "../../runtime/base/ids.ts";
import { itemBytesMax } from "../../runtime/connectors/dynamodb/attribute.ts";
import { postAcknowledgement, readSaid } from "../../runtime/driver/acknowledgements.ts";
import { collectGarbage } from "../../runtime/driver/collect-garbage.ts";
import { defaultEnvironment } from "../../runtime/driver/environment-options.ts";
import { moveJobRecord, readJobRing } from "../../runtime/driver/job-ring.ts";
import { loadCommit, payloadOf, storeCommit } from "../../runtime/driver/journal-entry.ts";
import { sealRings } from "../../runtime/driver/seal-rings.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import { encodeJobRecord, type JobRecord, type StageTopology } from "../../runtime/snapshots/job-record.ts";
import type { Acknowledgement } from "../../runtime/snapshots/manifest.ts";
import type { Commit } from "../../runtime/state/commit.ts";
import { noTotals } from "../../runtime/state/commit.ts";
import { emptyProgress } from "../../runtime/task/task-start.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";
import { fullRange } from "../../runtime/streaming/hash-range.ts";
import { awsPayload } from "../../runtime/adapters/aws/open-aws.ts";
import { newJob, withDynamoDb, withS3 } from "./stand-ins.ts";

const dynamodb = withDynamoDb();
const s3 = withS3();

const shards = Array.from({ length: 6_000 }, (_, n) => id<ShardId>(`shardId-${String(n).padStart(12, "0")}`));
const task = id<TaskId>("g1.in~all");

const topology: StageTopology = {
  stage: "in",
  generation: 1,
  kind: "single",
  tasks: [{ task, range: fullRange }],
  roots: new Map([["in", shards.map((shard) => ({ shard, range: fullRange }))]]),
};

function recordOf(job: string, lastCheckpoint: number): JobRecord {
  return {
    version: 1,
    job,
    fingerprint: "f",
    operators: [] as never,
    generation: 1,
    deployment: 1,
    phase: "running",
    savepoint: undefined,
    order: undefined,
    wanted: undefined,
    manifest: undefined,
    keyGroups: 128,
    topology: [topology],
    pending: undefined,
    lastCheckpoint,
    triggeredAt: undefined,
    completed: undefined,
    completedAt: undefined,
    retained: [],
    superseded: [],
    since: 0,
    failures: 0,
    replaces: [],
    totals: noTotals,
    former: [],
  };
}

const progressOf = (n: number) => ({
  position: id<Position>(createHash("sha512").update(String(n)).digest("base64")),
  readUpTo: n,
  ended: false,
  parents: [],
});

function commitOf(seq: number): Commit {
  const sources = new Map([["in", { shards: new Map(shards.map((shard, n) => [shard, progressOf(n)])), watermarks: undefined }]]);
  return {
    generation: 1,
    deployment: 1,
    task,
    seq,
    attempt: id(`e.${seq}`),
    by: "poke",
    done: seq - 1,
    progress: emptyProgress({ sources }),
    held: { added: [], released: [] },
    rows: [],
    effects: [],
    base: undefined,
  };
}

function acknowledgementOf(checkpoint: number): Acknowledgement {
  const { progress, seq } = commitOf(1);
  const { sources, valves, ended, successors, now, totals } = progress;
  const part = { sources, valves, ended, successors, now, totals, declined: false, range: fullRange, index: undefined };
  return { task, stage: "in", checkpoint, lastSeq: seq, ...part };
}

async function write(ports: Ports, commit: Commit): Promise<void> {
  const { seq, attempt } = commit;
  const bytes = await storeCommit(commit, ports.blobs, { ...awsPayload, compressFromBytes: Infinity });
  await ports.journal.write(task, { seq, attempt, bytes });
}

function bound(journal: Ports["journal"]): Ports["journal"] {
  return {
    ringSize: journal.ringSize,
    tail: (...args) => journal.tail(...args),
    write: (...args) => journal.write(...args),
    post: (...args) => journal.post(...args),
    withdraw: (...args) => journal.withdraw(...args),
    forget: (...args) => journal.forget(...args),
  };
}

async function open() {
  const job = newJob();
  const memory = openMemory();
  const blobs = await s3.blobs({ job });
  const ports: Ports = {
    ...memory,
    journal: await dynamodb.journal(16, { job }),
    blobs,
    sinks: { carryOut: async () => {}, deadLetters: async () => {}, quarantine: async () => {} },
    source: () => memory.log,
  };
  const names = async (prefix = "payloads/") => (await blobs.list(prefix)).blobs.map(({ name }) => name);
  return { job, ports, names };
}

describe("aws: a job of thousands of shards", () => {
  it("has a record that is too long for an item: it moves, is read, and what it was before is collected", async () => {
    const { job, ports, names } = await open();
    assert.ok(encodeJobRecord(recordOf(job, 0)).length > itemBytesMax);
    for (let n = 1; n <= 3; n++) {
      const ring = await readJobRing(ports, job);
      assert.equal(await moveJobRecord(ports, ring, recordOf(job, n), `c${n}`), true);
      assert.equal(await moveJobRecord(ports, ring, recordOf(job, 100 + n), "late"), false, "who comes late moves nothing");
    }
    assert.deepEqual((await readJobRing(ports, job)).record, recordOf(job, 3));
    assert.equal((await names()).length, 6);
    await collectGarbage(job, ports, allSafeguards);
    assert.deepEqual((await readJobRing(ports, job)).record, recordOf(job, 3));
    assert.equal((await names()).length, 1);
  });

  it("is not taken for new when the object of its record is gone", async () => {
    const { job, ports, names } = await open();
    await moveJobRecord(ports, await readJobRing(ports, job), recordOf(job, 1), "c1");
    await ports.blobs.delete(await names());
    await assert.rejects(
      readJobRing(ports, job),
      (error) => isKind(error, "unavailable") && /object is gone/.test(error.message),
    );
  });

  it("has the name of an object for each record that a coordinator may have written", async () => {
    const { job, ports, names } = await open();
    const ring = await readJobRing(ports, job);
    await moveJobRecord(ports, ring, recordOf(job, 1), "c1");
    await moveJobRecord(ports, ring, recordOf(job, 2), "c1");
    assert.equal((await names()).length, 2);
    assert.equal((await readJobRing(ports, job)).record?.lastCheckpoint, 1, "the first that was written counts");
  });

  it("has acknowledgements that are too long for an item: they are read, and collected when another has taken their place", async () => {
    const { job, ports, names } = await open();
    await moveJobRecord(ports, await readJobRing(ports, job), recordOf(job, 1), "c1");
    const said = async () => (await readSaid((await readJobRing(ports, job)).messages, 1, ports.blobs)).acknowledged(task);
    const kept = async () => {
      await collectGarbage(job, ports, allSafeguards);
      return (await names("acknowledgements/")).length;
    };
    assert.ok(encodeValue(acknowledgementOf(1)).length > itemBytesMax);
    for (const seq of [1, 2, 3]) {
      const commit = commitOf(seq);
      await write(ports, commit);
      await postAcknowledgement(commit, "part", acknowledgementOf(seq), ports, defaultEnvironment.messageBytesMax);
      assert.deepEqual(await said(), acknowledgementOf(seq));
      assert.equal(await kept(), 1, `${seq}`);
    }
    await postAcknowledgement(commitOf(1), "part", acknowledgementOf(1), ports, defaultEnvironment.messageBytesMax);
    assert.deepEqual(await said(), acknowledgementOf(3), "a zombie says nothing new");
    assert.equal(await kept(), 1, "and what it wrote is garbage once more");
  });

  it("keeps the object of an acknowledgement whose message is on its way", async () => {
    const { job, ports, names } = await open();
    await moveJobRecord(ports, await readJobRing(ports, job), recordOf(job, 1), "c1");
    const commit = commitOf(1);
    await write(ports, commit);
    const journal: Ports["journal"] = { ...bound(ports.journal), post: () => Promise.reject(new Error("dies")) };
    await assert.rejects(postAcknowledgement(commit, "part", acknowledgementOf(1), { ...ports, journal }, 0), /dies/);
    await collectGarbage(job, ports, allSafeguards);
    assert.equal((await names("acknowledgements/")).length, 1);
    await write(ports, commitOf(2));
    await collectGarbage(job, ports, allSafeguards);
    assert.equal((await names("acknowledgements/")).length, 0, "its task has gone on, so whatever was said has been said");
  });

  it("has no checkpoint for want of an object", async () => {
    const { job, ports, names } = await open();
    await moveJobRecord(ports, await readJobRing(ports, job), recordOf(job, 1), "c1");
    await postAcknowledgement(commitOf(1), "ended", acknowledgementOf(0), ports, 0);
    await ports.blobs.delete(await names("acknowledgements/"));
    const { messages } = await readJobRing(ports, job);
    await assert.rejects(readSaid(messages, 1, ports.blobs), (error) => isKind(error, "unavailable"));
    assert.equal((await readSaid(messages, 2, ports.blobs)).ended(task), undefined, "what former generations said is not read");
  });

  it("has seals that are too long for an item", async () => {
    const { ports } = await open();
    const head = commitOf(1);
    await write(ports, head);
    await sealRings([topology], ports, "c1");
    const { entries } = await ports.journal.tail(task, "head");
    const seal = await loadCommit(task, entries[0]!, ports.blobs);
    assert.notEqual(payloadOf(entries[0]!.bytes), undefined, "it is an object");
    assert.deepEqual([seal.by, seal.seq, seal.progress], ["seal", 2, head.progress]);
  });
});
