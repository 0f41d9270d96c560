/**
 * What is independently known of a simulated job, from what it writes: its record, its commits, which of its tasks have ended.
 *
 * C1 Entry n of a ring is written at most once.
 * C7 No record is late: the workload has none that could be.
 */
import { type BlobName, id, type TaskId } from "../../runtime/base/ids.ts";
import { loadCommit } from "../../runtime/driver/journal-entry.ts";
import { rootTasks } from "../../runtime/driver/topology.ts";
import type { Blobs } from "../../runtime/ports/blobs.ts";
import type { StoredEntry } from "../../runtime/ports/journal.ts";
import { decodeJobRecord, type JobRecord } from "../../runtime/snapshots/job-record.ts";
import { jobRing, lookLease, restoreLease } from "../../runtime/snapshots/names.ts";
import { readFrame } from "../../runtime/streaming/frame.ts";
import type { CommitChecker } from "../../runtime/testing/simulation/commit-checker.ts";
import type { Item } from "./dynamo-answers.ts";

export interface JobWatchOptions {
  readonly job: string;
  readonly commits: CommitChecker;
  /** An object under the job's names, past all faults. */
  readonly stored: (name: BlobName) => Uint8Array | undefined;
  readonly onRecord: (record: JobRecord) => void;
  readonly note: (what: string) => void;
  readonly fail: (message: string) => void;
}

export class JobWatch {
  /** What lies in the bucket under the job's names, past all faults. */
  readonly blobs: Pick<Blobs, "get">;
  /** The job record as it was last written. */
  record: JobRecord | undefined;
  completedCheckpoints = 0;
  readonly #options: JobWatchOptions;
  readonly #written = new Set<string>();
  /** Tasks that have ended, and who goes on after each. */
  readonly #ended = new Map<TaskId, readonly TaskId[]>();

  constructor(options: JobWatchOptions) {
    this.#options = options;
    this.blobs = { get: async (blob, range) => partOf(options.stored(blob), range) };
  }

  onAppended(
    stream: string,
    records: readonly { readonly bytes: Uint8Array }[],
    results: readonly { readonly shard: string; readonly position: string }[],
  ): void {
    const { job, commits, note } = this.#options;
    if (!stream.startsWith(`${job}-inbox-`)) return;
    for (const [n, { bytes }] of records.entries()) {
      const { channel, seq } = readFrame(bytes);
      const { shard, position } = results[n]!;
      note(`frame ${seq} of ${channel} is record ${position} of ${stream} ${shard.slice(-2)}`);
      commits.onAppended(bytes);
    }
  }

  async onPut(item: Item): Promise<void> {
    const { job, commits, fail } = this.#options;
    const prefix = `${job}/ring/`;
    if (!isEntry(item) || !item.p!.S!.startsWith(prefix)) return;
    const task = id<TaskId>(decodeURIComponent(item.p!.S!.slice(prefix.length)));
    const entry: StoredEntry = { seq: Number(item.n!.N), bytes: item.b!.B! };
    const name = `${task} ${entry.seq}`;
    if (this.#written.has(name)) fail(`C1: entry ${entry.seq} of ${task} was written twice`);
    this.#written.add(name);
    if (task === lookLease || task === restoreLease) return;
    if (task === jobRing) return this.#onJobRecord(decodeJobRecord(entry.bytes));
    const commit = await loadCommit(task, entry, this.blobs as Blobs);
    if (commit.progress.totals.lateDropped > 0) fail(`C7: records were late at ${task}, which none is by its making`);
    commits.onCommit(commit, this.record);
    const { ended, successors } = commit.progress;
    if (ended)
      this.#ended.set(
        task,
        successors.map((successor) => successor.task),
      );
  }

  /** Whether every task of the generation has come to its end. */
  get hasFinished(): boolean {
    const tasks = new Set(this.record?.topology.flatMap((stage) => rootTasks(stage).map(({ task }) => task)));
    for (const task of tasks) {
      const successors = this.#ended.get(task);
      if (successors === undefined) return false;
      for (const successor of successors) tasks.add(successor);
    }
    return tasks.size > 0;
  }

  #onJobRecord(record: JobRecord): void {
    const { note, onRecord } = this.#options;
    if (record.completed !== undefined && record.completed !== this.record?.completed) this.completedCheckpoints++;
    note(`job record: generation ${record.generation} ${record.phase}, completed ${record.completed}`);
    this.record = record;
    onRecord(record);
  }
}

function partOf(
  bytes: Uint8Array | undefined,
  range?: { readonly offset: number; readonly length: number },
): Uint8Array | undefined {
  if (bytes === undefined || range === undefined) return bytes;
  const from = range.offset < 0 ? Math.max(0, bytes.length + range.offset) : range.offset;
  return bytes.slice(from, from + range.length);
}

/** Of a ring's, whatever the job. */
export function isEntry(item: Item): boolean {
  return /^[^/]+\/ring\//.test(item.p!.S!) && item.s!.S!.startsWith("e");
}
