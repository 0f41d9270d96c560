/**
 * A keyed operator in batch mode: its input is sorted by key, then timestamp, and the operator sees one key after the other (Flink's
 * SortingDataInput and BatchExecutionInternalTimeService).
 *
 * S1 Until the input has ended, records are only gathered; each commit leaves what came since as a sorted run. Records without a key
 *    (a broadcast side) are passed at once, so that the operator knows them before the first key.
 * S2 Within a key there is no watermark. At the key's end its event-time timers fire in their order under the final watermark, then
 *    its processing-time timers, whatever the clock says. Timers set by timers are dropped.
 * S3 At the key's end its state goes.
 * S4 Watermarks on the way say nothing; the final one is passed on after the last key.
 * S5 Where it stands (runs, key) is part of the commit, so a crash costs what came since.
 */
import { assert } from "../base/assert.ts";
import type { Key } from "../api/key.ts";
import type { BlobName } from "../base/ids.ts";
import type { ByteWriter } from "../base/byte-writer.ts";
import { encodeValue } from "../base/message-pack.ts";
import { canonicalKey } from "../state/key.ts";
import { SortBuffer, type SortMark } from "../state/sort-buffer.ts";
import type { Row } from "../state/row.ts";
import type { Timer } from "../state/timer.ts";
import { type SortedRecord, type SortedRun, SortedRuns, type WantedRun } from "../state/sorted-runs.ts";
import { maxWatermark, minWatermark } from "../time/watermark.ts";
import { blame } from "./blame.ts";
import { ChainNode, type NodeState, type NodeStates, type TaskShared } from "./chain-node.ts";
import type { NodeOutput } from "./node-output.ts";
import type { UnitOrigin } from "./units.ts";

/** Where a sorting operator stands, as plain data. */
export interface SortProgress {
  readonly phase: "gathering" | "sorted" | "done";
  /** What is left of each run. */
  readonly runs: readonly SortedRun[];
  /** The key whose records are being given to the operator. */
  readonly key: Key | undefined;
}

/** Why a step ended. */
export type StepStatus =
  /** All records have been given to the operator. */
  | "done"
  /** `wanted` names what must be read. */
  | "reads"
  /** Elements wait for key groups. */
  | "waits"
  /** Enough for one commit. */
  | "full";

/** Records given to the operator in one step, at most. */
const recordsPerStep = 20_000;

export class SortingNode extends ChainNode {
  private readonly buffer = new SortBuffer();
  private phase: SortProgress["phase"] = "gathering";
  private runs: readonly SortedRun[] = [];
  private merged: SortedRuns | undefined;
  /** The key whose records are being given to the operator, and its canonical encoding. */
  private key: Key | undefined;
  private keyBytes: Uint8Array | undefined;
  private ending = false;
  private readonly origin: UnitOrigin;
  private record1: SortedRecord | undefined;
  /** Taken from the runs and not yet given. */
  private next: SortedRecord | undefined;
  private readonly work: () => void;

  constructor(uid: string, output: NodeOutput, states: NodeStates, shared: TaskShared) {
    super(uid, output, states, shared);
    assert(states.keyed !== undefined, `what is sorted has keys: ${uid}`);
    states.keyed.store.dropsEmptyRows = true;
    const shard = `sorted input of ${uid}`;
    const position = () => String(this.record1?.timestamp ?? "");
    const operator = () => uid;
    this.origin = { kind: "record", operator, shard, position, bytes: () => encodeValue(this.record1?.value) };
    this.work = () => {
      const { value, timestamp, input, key } = this.record1 as SortedRecord;
      super.record(value, timestamp, input, key);
    };
  }

  /** Called once, before the first element. */
  begin(progress: SortProgress | undefined): void {
    this.current = minWatermark;
    if (progress === undefined) return;
    this.phase = progress.phase;
    this.runs = progress.runs;
    if (progress.key !== undefined) this.openKey(progress.key, canonicalKey(progress.key));
    if (this.phase === "done") this.current = maxWatermark;
  }

  /** A timer that failed is not given back: its key's state has gone (S3). */
  protected override originOf(row: Row, timer: Timer): UnitOrigin & { kind: "timer" } {
    const { namespace: _none, ...origin } = super.originOf(row, timer);
    return origin;
  }

  // ---- gathering ----

  override record(value: unknown, timestamp: number, input: number, key: Key | undefined): void {
    if (key === undefined) return super.record(value, timestamp, input, key);
    assert(this.phase === "gathering", `a record came to ${this.uid} after the end of its input`);
    this.shared.units.activity.count++;
    try {
      this.buffer.add(key, timestamp, input, value);
    } catch (error) {
      throw blame(error, this.uid);
    }
  }

  override advance(at: number): void {
    if (at < maxWatermark) return;
    if (this.phase === "gathering") this.phase = "sorted";
    else if (this.phase === "done") this.output.watermark(maxWatermark);
  }

  /** No input is idle: it has only not ended. */
  protected override passStatus(): void {}

  /** Timers in processing time fire at the end of their key. */
  override passTime(): void {}

  /** About what the gathered records take in memory. */
  get gatheredBytes(): number {
    return this.buffer.sizeBytes;
  }

  markGathered(): SortMark {
    return this.buffer.mark();
  }

  takeBackGathered(mark: SortMark): void {
    this.buffer.rollback(mark);
  }

  /** Writes what was gathered since the last commit as a run of the object `blob`. Nothing, when nothing was. */
  spill(writer: ByteWriter, blob: BlobName): void {
    if (this.buffer.count === 0) return;
    const offset = writer.length;
    this.buffer.takeInto(writer);
    this.runs = [...this.runs, { blob, offset, length: writer.length - offset }];
  }

  // ---- key by key ----

  /** All input is there, and not all of it has been given to the operator. */
  get isSorted(): boolean {
    return this.phase === "sorted";
  }

  /** Gives sorted records to the operator. What was gathered must have been spilled. */
  step(isFull: () => boolean): StepStatus {
    assert(this.buffer.count === 0, `operator ${this.uid} begins before its input is in runs`);
    this.merged ??= new SortedRuns(this.runs);
    for (let taken = 0; ;) {
      if (this.blocked || this.shared.pauses(this)) return "waits";
      if (this.ending && !this.endKey()) return "waits";
      if (this.next !== undefined && !this.giveNext()) return "waits";
      const { nextKey } = this.merged;
      if (nextKey === undefined && !this.merged.done) return "reads";
      if (this.keyBytes !== undefined && (nextKey === undefined || Buffer.compare(nextKey, this.keyBytes) !== 0)) {
        this.ending = true;
        continue;
      }
      if (nextKey === undefined) return this.finish();
      if (taken === recordsPerStep || ((taken & 255) === 255 && isFull())) return "full";
      this.next = this.merged.take();
      if (!this.giveNext()) return "waits";
      taken++;
    }
  }

  /** What must be read before the next step. */
  get wanted(): readonly WantedRun[] {
    return this.merged?.wanted ?? [];
  }

  /** Gives the operator the record that is next. False: its unit must not begin yet. */
  private giveNext(): boolean {
    const record = this.next as SortedRecord;
    const { units } = this.shared;
    this.record1 = record;
    if (units.guarded && !units.mayBegin(this.origin)) return false;
    this.next = undefined;
    if (this.keyBytes === undefined) this.openKey(record.key, record.keyBytes);
    units.record(this.origin, this.work);
    return true;
  }

  private openKey(key: Key, keyBytes: Uint8Array): void {
    this.key = key;
    this.keyBytes = keyBytes;
  }

  /** S2, S3. False: it must go on after a load. */
  private endKey(): boolean {
    const { store, access, eventTimers, processingTimers } = this.state as NodeState;
    const row = store.find(this.key as Key);
    if (row === undefined || this.operatorState?.open() === false) return false;
    access.dropsTimers = true;
    this.current = maxWatermark;
    if (!this.fire("eventTime", eventTimers, maxWatermark)) return false;
    if (!this.fire("processingTime", processingTimers, maxWatermark)) return false;
    if (!this.fireKeyEnd(row)) return false;
    access.dropsTimers = false;
    this.current = minWatermark;
    store.clear(row);
    this.key = undefined;
    this.keyBytes = undefined;
    this.ending = false;
    return true;
  }

  private finish(): StepStatus {
    this.phase = "done";
    this.runs = [];
    this.merged = undefined;
    super.advance(maxWatermark);
    return "done";
  }

  progress(): SortProgress {
    return { phase: this.phase, runs: this.merged?.progress() ?? this.runs, key: this.key };
  }
}
