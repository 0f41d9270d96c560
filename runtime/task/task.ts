/**
 * One task: a pure function from (state, input) to a commit (DESIGN §1).
 *
 * Owns the chain, the inputs' progress, and what the open commit has gathered. Does not own any I/O: it names the key groups it
 * lacks (`missing`), takes what the driver fetched (`load`), and hands over commits as bytes' worth of data.
 *
 * K1 A commit ends at a barrier, at the end of the input, or where the driver ends it; never with elements that wait for state.
 * K2 A task that threw is broken: the driver drops it and starts again from the journal.
 * K3 The task of a written commit goes on from it without reading anything back.
 * K4 A task that rests behind the barrier of a stop puts nothing out: no timer fires, no operator is found idle, and sinks have finished what was
 *    open. A frame behind the barrier, or a request for a later checkpoint, says that the stop was given up.
 */
import { assert } from "../base/assert.ts";
import { corrupt } from "../base/byte-reader.ts";
import { crc32 } from "../base/crc32.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { encodeValue } from "../base/message-pack.ts";
import { messageOf, type MillraceError } from "../base/errors.ts";
import type { BlobName, ChannelId, Checkpoint, KeyGroup, Position, Seq, ShardId } from "../base/ids.ts";
import type { CommitEnd } from "../api/connector.ts";
import { endOf } from "../plan/direct-edge.ts";
import { givenChannel } from "../snapshots/given-letters.ts";
import { Activity } from "../state/activity.ts";
import type { Commit, Effect, Progress, RowChanges, SourceProgress } from "../state/commit.ts";
import type { TaskIndex } from "../state/state-index.ts";
import { RowWriter } from "../state/row-writer.ts";
import type { KeyedStore, LoadedPart } from "../state/keyed-store.ts";
import { ownerOf } from "../state/operator-state.ts";
import { type Barrier, type Element, readElement, type Successor } from "../streaming/element.ts";
import type { Frame } from "../streaming/frame.ts";
import type { ValveChange } from "../time/watermark-valve.ts";
import { maxWatermark, minWatermark } from "../time/watermark.ts";
import type { SortMark } from "../state/sort-buffer.ts";
import type { WantedRun } from "../state/sorted-runs.ts";
import { AlignmentStanding } from "./alignment-standing.ts";
import { AssignerNode } from "./assigner-node.ts";
import { SortingNode, type StepStatus } from "./sorting-node.ts";
import { buildChain, type Chain } from "./chain.ts";
import { blame } from "./blame.ts";
import { ChannelInput, type FramesInput } from "./channel-input.ts";
import type { ChainNode, TaskShared } from "./chain-node.ts";
import { ChannelWriters, type WritersMark } from "./channel-writers.ts";
import { DeadLetterOutbox } from "./dead-letter-outbox.ts";
import type { RefusedRow } from "../operators/sink.ts";
import type { NodeOutput } from "./node-output.ts";
import { type RecordsInput, SourceInput } from "./source-input.ts";
import { recordBack, rowBack } from "./given-back.ts";
import { createValves, restoreWatermarks, valveProgress } from "./task-time.ts";
import type { TaskPlan } from "./task-plan.ts";
import type { TaskStart } from "./task-start.ts";
import { type UnitKeeper, type UnitOrigin, Units } from "./units.ts";

/** Why feeding stopped. */
export type FeedStatus =
  /** The input is taken in. */
  | "done"
  /** Key groups must be loaded first, or timers that are due fire. */
  | "blocked"
  /** A barrier: the commit must end here. */
  | "barrier"
  /** Enough for one commit. */
  | "full"
  /** A frame of a newer generation stands next. */
  | "newer";

/** So long are dead letters counted together. */
const letterMinuteMs = 60_000;

interface Counters {
  records: number;
  deadLetters: number;
  lateDropped: number;
}

export class Task implements TaskShared, UnitKeeper {
  readonly plan: TaskPlan;
  readonly units: Units;
  readonly chain: Chain;
  readonly channels: ChannelInput;
  readonly sources = new Map<string, SourceInput>();
  /** The seq of the last commit that this state reflects. */
  head: Seq;
  now: number;
  ended: boolean;
  readonly counters = new Map<string, number>();
  private readonly start: Progress;
  private readonly writers: ChannelWriters;
  private readonly nodesDownstreamFirst: readonly ChainNode[];
  /** Operators in batch mode, upstream first. */
  private readonly sorting: readonly SortingNode[];
  private readonly activity: Activity;
  /** The bytes of pages in each segment that the index refers to. */
  readonly segments: Map<BlobName, number>;
  /** Of a task whose shard has ended: who goes on with its range. */
  successors: readonly Successor[];
  private readonly deadLetters = new DeadLetterOutbox();
  private readonly totals: Counters;
  private letters: { since: number; count: number };
  private outputMark:
    | {
        writers: WritersMark;
        sinks: Map<string, number>;
        gathered: Map<SortingNode, SortMark>;
        letters: number;
      }
    | undefined;
  /** The frame that is being taken in. */
  private frame: Frame | undefined;
  private frameShard = "";
  private framePosition = "";
  private element: (Element & { kind: "record" }) | undefined;
  private readonly frameOrigin: UnitOrigin;
  private barrierDue: Barrier | undefined;
  private declined: Barrier | undefined;
  /** The source whose records are being taken in. */
  private reading: SourceInput | undefined;
  private moved = false;
  private announced: boolean;
  /** Processing time by which the task must be rung, since nobody brings what it reads; Infinity: somebody does. */
  pollBy = Infinity;
  private wokenAt = Infinity;
  private readonly standing: AlignmentStanding;
  private readonly rowWriter = new RowWriter(new ByteWriter(1 << 12));

  /** `earlier`: an instance of this task that stood at a commit before `head`; its state is taken over, and `replay` brings it up. */
  constructor(plan: TaskPlan, start: TaskStart, head: Seq, earlier?: Task) {
    this.plan = plan;
    this.activity = earlier?.activity ?? new Activity();
    this.segments = start.index.segments;
    this.head = head;
    this.start = start.progress;
    this.now = start.progress.now;
    this.ended = start.progress.ended;
    this.successors = start.progress.successors;
    this.writers = new ChannelWriters(plan, start.progress);
    this.totals = { ...start.progress.totals };
    this.letters = { since: 0, count: 0, ...start.progress.letters };
    this.units = new Units(this.activity, this, plan.job.options.onUserError === "fail");
    this.chain = buildChain({
      plan,
      index: start.index,
      shares: start.shares,
      earlier: earlier?.chain,
      shared: this,
      writer: (task) => this.writers.to(task),
      seq: () => this.start.versionOffset + this.head + 1,
    });
    this.nodesDownstreamFirst = [...this.chain.nodes].reverse();
    this.sorting = this.chain.nodes.filter((node): node is SortingNode => node instanceof SortingNode);
    const { job, generation, deployment, task, safeguards } = plan;
    this.channels = new ChannelInput({ job: job.name, generation, deployment, task, safeguards }, start.progress, start.held);
    for (const uid of plan.stage.sources) this.sources.set(uid, this.createSource(uid, start.progress.sources.get(uid)));
    for (const [uid, state] of start.progress.sinks) this.chain.sinks.get(uid)?.writer.restore(state);
    createValves(this, start.progress);
    restoreWatermarks(this, start.progress);
    this.frameOrigin = {
      kind: "record",
      operator: () => endOf(this.plan.job, (this.element as Element & { kind: "record" }).edge)?.to ?? "",
      shard: "inbox",
      position: () => this.framePosition,
      bytes: () => encodeValue((this.element as Element & { kind: "record" }).value),
      back: () => recordBack(this.plan, this.element as Element & { kind: "record" }),
    };
    this.announced = head > 0;
    this.standing = new AlignmentStanding(plan, this.sources, start.progress.told);
    if (start.progress.told !== undefined && start.progress.told.at === undefined)
      for (const source of this.sources.values()) source.assumeCaughtUp();
  }

  /** Lays the rows and held frames of a commit over the state; its progress is given to the constructor. */
  replay(commit: Commit): void {
    const stores = new Map(this.chain.stores.map((store) => [store.operator, store]));
    for (const { operator, schema, bytes } of commit.rows) stores.get(operator)?.applyChanges(commit.seq, schema, bytes);
    this.channels.held.apply(commit.held);
  }

  /** Goes over to the index of a base that another environment wrote at `seq`; its segments were given to the constructor. */
  adopt(index: TaskIndex, seq: Seq): void {
    for (const store of this.chain.stores) store.adopt(index.operators.get(store.operator), seq);
  }

  private createSource(uid: string, progress: SourceProgress | undefined): SourceInput {
    const { spec } = this.plan.job.operators.get(uid)!.node;
    assert(spec.kind === "source", `${uid} is a source`);
    return new SourceInput({
      uid,
      spec,
      stepMs: this.plan.job.options.watermarkStepMs,
      batch: this.plan.job.options.mode === "batch",
      progress,
      whole: this.plan.stage.kind === "single",
      now: this.now,
      output: this.chain.sourceOutputs.get(uid) as NodeOutput,
      units: this.units,
      reject: (origin, operator, reason) => this.addDeadLetter(origin, operator, reason),
    });
  }

  /**
   * A task that goes on from a checkpoint tells the operators after each valve and each source where its time stands: the inputs of
   * their valves are new, those of this task's own chain too. What operators know already fires nothing.
   */
  private announceTime(): void {
    this.announced = true;
    for (const node of this.chain.nodes) {
      const { output, valve, current } = node;
      if (node instanceof AssignerNode) this.announce(output, current, node.idle);
      else if (valve !== undefined) this.announce(output, current, false);
    }
    for (const [uid, source] of this.sources)
      this.announce(this.chain.sourceOutputs.get(uid) as NodeOutput, source.time, source.idle);
  }

  private announce(output: NodeOutput, watermark: number, idle: boolean): void {
    if (watermark > minWatermark) output.watermark(watermark);
    if (idle) output.status(false);
    this.moved ||= idle || watermark > minWatermark;
  }

  // ---- one step ----

  /** Begins a commit: time moves on, processing-time timers fire. `guarded`: an earlier attempt failed on a record. */
  begin(now: number, guarded: boolean): void {
    this.units.guarded = guarded;
    this.now = this.plan.safeguards.holds("L12.now") ? Math.max(this.now, now) : now;
    for (const store of this.chain.stores) store.turn++;
    if (this.rests && this.plan.safeguards.holds("rest")) return;
    if (!this.announced) this.announceTime();
    if (this.now >= this.writers.wakeUpAt) this.moved = true;
    if (this.now - this.letters.since >= letterMinuteMs) this.letters = { since: this.now, count: 0 };
    this.passTime();
  }

  private passTime(): void {
    for (const node of this.chain.nodes) {
      if (node.state !== undefined && node.state.store.earliestTimer("processingTime") <= this.passed) {
        this.moved = true;
        node.passTime();
      }
    }
    this.catchUp();
  }

  /** K4 */
  get rests(): boolean {
    return this.channels.alignment.rests;
  }

  /** The stop that the task rests for was given up. */
  goOn(): void {
    this.channels.alignment.goOn();
  }

  /** Processing-time timers up to here are due. */
  get passed(): number {
    return this.now - this.plan.limits.timerDelayMs;
  }

  /** Feeds records of one source shard; stops where the status says. */
  feedRecords(input: RecordsInput): FeedStatus {
    const source = this.sources.get(input.source);
    assert(source !== undefined, `task ${this.plan.task} has no source ${input.source}`);
    this.reading = source;
    source.passWatermark();
    source.skipKnown(input);
    if (input.at >= input.records.length) return this.units.guarded && this.blocked ? "blocked" : "done";
    this.moved = true;
    this.applyChange(source.begin(input, this.now), this.chain.sourceOutputs.get(input.source) as NodeOutput);
    const { records } = input;
    let status: FeedStatus = "done";
    while (input.at < records.length) {
      if (this.units.guarded && (this.blocked || !source.mayBegin(input))) {
        status = "blocked";
        break;
      }
      source.feedOne(input);
      if (input.upTo !== undefined && !source.isWithinRecord && source.watermarkOf(input.shard) > input.upTo) break;
      if ((input.at & 255) === 0 && (this.isFull || this.isFlooded)) {
        status = "full";
        break;
      }
    }
    source.end(input);
    this.catchUp();
    return status === "done" && this.units.guarded && this.blocked ? "blocked" : status;
  }

  /** No operator keeps back what it has been given. */
  private catchUp(): void {
    for (const node of this.chain.nodes) node.catchUp();
  }

  /** Enough for one commit: of frames, or of records gathered to be sorted. */
  private get isFull(): boolean {
    const { outputBytesMax, gatheredBytesMax } = this.plan.limits;
    if (this.writers.sizeBytes > outputBytesMax) return true;
    let gathered = 0;
    for (const node of this.sorting) gathered += node.gatheredBytes;
    return gathered > gatheredBytesMax;
  }

  /** Feeds frames of the inbox. Held frames that need wait no longer come first. */
  feedFrames(input: FramesInput): FeedStatus {
    const status = this.feedHeld();
    if (status !== "done") return status;
    this.channels.skipKnown(input);
    while (input.at < input.records.length) {
      const record = input.records[input.at]!;
      if (this.rests && this.channels.isNews(record)) {
        this.goOn();
        this.passTime();
        return "blocked";
      }
      this.framePosition = record.position;
      const received = this.channels.receive(record);
      if (received.outcome === "newer") return "newer";
      this.moved = true;
      this.channels.position = record.position as Position;
      input.at++;
      if (received.outcome === "apply") {
        this.frame = received.frame;
        const after = this.feedFrame();
        if (after !== "done") return after;
      }
      this.declineWhenTooMuchIsHeld();
      const held = this.feedHeld();
      if (held !== "done") return held;
      if (this.isFull) return "full";
    }
    return "done";
  }

  /** Goes on with the open frame, then with held frames that need wait no longer. */
  private feedHeld(): FeedStatus {
    for (;;) {
      const status = this.feedFrame();
      if (status !== "done") return status;
      this.frame = this.channels.releaseHeld();
      if (this.frame === undefined) return "done";
      this.moved = true;
    }
  }

  /** Dead letters that were given back wait: they are taken in before anything else. */
  get holdsGiven(): boolean {
    return this.channels.holdsGiven || (this.frame !== undefined && this.frame.channel === givenChannel(this.plan.task));
  }

  /** Feeds a frame of them. */
  feedGiven(): FeedStatus {
    if (this.frame === undefined) this.frame = this.channels.releaseGiven();
    if (this.frame === undefined) return "done";
    this.moved = true;
    return this.feedFrame();
  }

  private feedFrame(): FeedStatus {
    const { frame } = this;
    if (frame === undefined) return this.barrierDue === undefined ? "done" : "barrier";
    while (!frame.elements.done) {
      if (this.units.guarded && this.blocked) return "blocked";
      const { at } = frame.elements;
      const element = readElement(frame.elements);
      if (this.units.guarded && element.kind === "record") {
        this.element = element;
        if (!this.units.mayBegin(this.originOf(element))) {
          frame.elements.at = at;
          return "blocked";
        }
      }
      this.takeElement(frame.channel, element);
    }
    this.catchUp();
    this.frame = undefined;
    return this.barrierDue === undefined ? "done" : "barrier";
  }

  private takeElement(channel: ChannelId, element: Element): void {
    switch (element.kind) {
      case "record":
        this.element = element;
        return this.takeUnit(element);
      case "watermark":
        return this.receiver(element.edge).receiveWatermark(`${element.edge}:${channel}`, element.at);
      case "status":
        return this.receiver(element.edge).receiveStatus(`${element.edge}:${channel}`, element.active);
      case "barrier":
        return this.onBarrier(channel, element.barrier);
      case "end":
        return this.onEnd(channel, element.successors);
    }
  }

  private takeUnit(element: Element & { kind: "record" }): void {
    const origin = this.originOf(element);
    if (origin.kind === "record") this.units.record(origin, () => this.takeRecord(element));
    else this.units.timer(origin, () => this.takeAgain(element));
  }

  /** A timer that was given back stands in the place of a record. */
  private originOf({ edge, value, key }: Element & { kind: "record" }): UnitOrigin {
    if (edge < this.plan.job.exchanges.length || key === undefined || endOf(this.plan.job, edge)?.way !== "again")
      return this.frameOrigin;
    return this.receiver(edge).originAgain(value, key);
  }

  private takeAgain({ edge, value, timestamp, key }: Element & { kind: "record" }): void {
    this.activity.count++;
    this.receiver(edge).again(value, timestamp, key);
  }

  private takeRecord(element: Element & { kind: "record" }): void {
    const end = endOf(this.plan.job, element.edge);
    if (end?.way === "again") return this.takeAgain(element);
    this.totals.records++;
    this.receiver(element.edge).record(element.value, element.timestamp, end?.input ?? 0, element.key);
  }

  private receiver(edge: number): ChainNode {
    const end = endOf(this.plan.job, edge);
    const node = end && this.chain.byUid.get(end.to);
    if (node === undefined) throw corrupt(`a frame names exchange ${edge}, which does not lead to task ${this.plan.task}`);
    return node;
  }

  /** Goes on after a load: what waits deepest first, so that every operator keeps its order. */
  resume(): void {
    this.units.proceed(() => {
      for (const node of this.nodesDownstreamFirst) if (node.blocked) node.resume();
      this.catchUp();
    });
  }

  /** True when elements wait for key groups; `missing` names them. */
  get blocked(): boolean {
    return this.chain.nodes.some((node) => node.blocked);
  }

  get missing(): readonly { readonly store: KeyedStore; readonly groups: readonly KeyGroup[] }[] {
    return this.chain.stores.filter((store) => store.missing.size > 0).map((store) => ({ store, groups: [...store.missing] }));
  }

  load(store: KeyedStore, group: KeyGroup, parts: readonly LoadedPart[]): void {
    store.load(group, parts);
  }

  // ---- sorted input (batch mode) ----

  /** Some operator's input is there and sorted, and not all of it has been processed. */
  get sorts(): boolean {
    return this.sorting.some((node) => node.isSorted);
  }

  /** Writes what operators have gathered since the last commit as runs of one object; undefined when they have nothing. */
  spill(blob: BlobName): Uint8Array | undefined {
    if (this.sorting.every((node) => node.gatheredBytes === 0)) return undefined;
    const writer = new ByteWriter(1 << 16);
    for (const node of this.sorting) node.spill(writer, blob);
    return writer.take();
  }

  /** Goes on with sorted input. */
  feedSorted(): StepStatus {
    for (const node of this.sorting) {
      if (!node.isSorted) continue;
      this.moved = true;
      if (node.gatheredBytes > 0) return "full";
      const status = node.step(() => this.isFull);
      if (status !== "done") return status;
    }
    return "done";
  }

  /** Tells apart how far sorted input is given to operators, whatever else is committed. */
  get sortedPlace(): string {
    return String(crc32(encodeValue(this.sorting.map((node) => node.progress()))));
  }

  /** Parts of sorted runs that must be read before `feedSorted` can go on. */
  get wantedRuns(): readonly WantedRun[] {
    return this.sorting.flatMap((node) => node.wanted);
  }

  /** Objects in which runs lie that are not processed to their ends. */
  get runBlobs(): ReadonlySet<BlobName> {
    return new Set(this.sorting.flatMap((node) => node.progress().runs.map(({ blob }) => blob)));
  }

  // ---- barriers ----

  /** The barrier that the commit must end at. */
  get barrier(): Barrier | undefined {
    return this.barrierDue;
  }

  /** A source's task takes part in a checkpoint because it was asked to. */
  trigger(barrier: Barrier): void {
    if (!this.hasSeen(barrier.checkpoint)) this.barrierDue = barrier;
  }

  private onBarrier(channel: ChannelId, barrier: Barrier): void {
    const { alignment } = this.channels;
    if (!this.plan.safeguards.holds("L9") && alignment.pending !== undefined && barrier.checkpoint > alignment.pending.checkpoint)
      return;
    const decision = alignment.onBarrier(channel, barrier, this.channels.live);
    if (decision === "complete") this.barrierDue = alignment.pending;
    if (decision === "abandon") this.passDecline(barrier);
  }

  private declineWhenTooMuchIsHeld(): void {
    const { alignment, held } = this.channels;
    const { pending } = alignment;
    if (pending === undefined || held.sizeBytes <= this.plan.limits.heldBytesMax) return;
    if (!this.plan.safeguards.holds("L15.held")) return;
    alignment.abandon(pending.checkpoint);
    this.passDecline({ ...pending, declined: true });
  }

  private passDecline(barrier: Barrier): void {
    this.declined = barrier;
    this.writers.barrier(barrier);
  }

  /** Whether the checkpoint is older than what this task has seen. */
  hasSeen(checkpoint: Checkpoint): boolean {
    return checkpoint <= this.channels.alignment.last;
  }

  // ---- ends ----

  private onEnd(channel: ChannelId, successors: readonly Successor[]): void {
    const { channels } = this;
    for (const exchange of this.plan.job.exchanges) this.endValve(exchange.number, channel, successors);
    channels.end(channel, successors);
    const { alignment } = channels;
    if (this.plan.safeguards.holds("L8") && alignment.isComplete(channels.live)) this.barrierDue = alignment.pending;
  }

  private endValve(exchange: number, channel: ChannelId, successors: readonly Successor[]): void {
    const plan = this.plan.job.exchanges[exchange]!;
    const node = plan.toStage === this.plan.stage.id ? this.chain.byUid.get(plan.to) : undefined;
    const name = `${exchange}:${channel}`;
    const valve = node?.valve;
    if (node === undefined || valve?.has(name) !== true) return;
    for (const { channel: child, parents } of this.channels.successorsOf(successors)) {
      const inputs = parents.map((parent) => `${exchange}:${parent}`);
      // While a parent is unknown its own parents hold time back; its end names the child again.
      if (inputs.every((input) => valve.has(input))) node.applyChange(valve.addChild(`${exchange}:${child}`, inputs));
    }
    node.applyChange(valve.end(name, successors.length > 0));
  }

  /** Makes a source shard known, so that it can be read. */
  addShard(source: string, shard: ShardId, parents: readonly ShardId[]): void {
    const input = this.sources.get(source) as SourceInput;
    if (input.has(shard)) return;
    this.moved = true;
    this.applyChange(input.addShard(shard, parents, this.now), this.chain.sourceOutputs.get(source) as NodeOutput);
  }

  /** The shard has been read to its end. `successors`: tasks that read its children (exchange plans and keyed sources). */
  endShard(source: string, shard: ShardId, successors: readonly Successor[]): void {
    const input = this.sources.get(source) as SourceInput;
    this.moved = true;
    this.successors = [...this.successors, ...successors];
    this.applyChange(input.endShard(shard, this.now, successors.length > 0), this.chain.sourceOutputs.get(source) as NodeOutput);
  }

  /** The lowest watermark among the shards here of an alignment group; Infinity when there is none. */
  slowestOf(group: string): number {
    let slowest = Infinity;
    for (const source of this.sources.values())
      if (source.alignment?.group === group) slowest = Math.min(slowest, source.slowest);
    return slowest;
  }

  decideIdle(source: string, shard: ShardId): void {
    const change = (this.sources.get(source) as SourceInput).decideIdle(shard, this.now);
    if (change === undefined || (change.watermark === undefined && change.status === undefined)) return;
    this.moved = true;
    this.applyChange(change, this.chain.sourceOutputs.get(source) as NodeOutput);
  }

  /** There was nothing to read: operators that make event time may be idle. */
  decideIdleOperators(): void {
    for (const node of this.chain.nodes) if (node instanceof AssignerNode && node.decideIdle()) this.moved = true;
  }

  private applyChange(change: ValveChange | undefined, output: NodeOutput): void {
    if (change === undefined) return;
    if (change.status === "active") output.status(true);
    if (change.watermark !== undefined) output.watermark(change.watermark);
    if (change.status === "idle") output.status(false);
  }

  /** True when no input will bring anything more. */
  get inputEnded(): boolean {
    for (const source of this.sources.values()) if (!source.allEnded) return false;
    if (this.sources.size > 0) return !this.holdsGiven;
    return this.channels.allEnded && this.channels.held.count === 0;
  }

  get hasSuccessors(): boolean {
    return this.successors.length > 0;
  }

  succeededBy(successors: readonly Successor[]): void {
    this.successors = successors;
  }

  /**
   * Event time ends with a source that nobody goes on with. Its own end has said so, unless its shard had ended before the checkpoint
   * that the task was restored from, while other shards held time back.
   */
  endTime(): void {
    if (this.hasSuccessors) return;
    for (const [uid, source] of this.sources)
      if (source.time < maxWatermark) this.chain.sourceOutputs.get(uid)?.watermark(maxWatermark);
  }

  /** Ends the task: nothing waits, all inputs have ended. Tells those after it. */
  end(): void {
    assert(!this.blocked && this.inputEnded, `task ${this.plan.task} ends before its input`);
    this.ended = true;
    this.moved = true;
    this.writers.end(this.successors);
  }

  // ---- the commit ----

  /** Whether there is anything to commit. */
  get changed(): boolean {
    if (this.now >= this.standing.dueAt()) return true;
    return this.moved || this.deadLetters.length > 0 || this.barrierDue !== undefined || this.declined !== undefined;
  }

  /** Ends the open commit: its changes of state, outputs and progress. The driver adds where it lies and who wrote it. */
  finish(): Pick<Commit, "generation" | "deployment" | "task" | "seq" | "progress" | "held" | "rows" | "effects"> {
    assert(!this.chain.nodes.some((node) => node.keepsBack), `task ${this.plan.task} commits while records wait`);
    assert(!this.blocked && !this.units.interrupted, `task ${this.plan.task} commits while elements wait`);
    const seq = this.head + 1;
    const barrier = this.barrierDue;
    if (barrier !== undefined) this.writers.barrier(barrier);
    const end: CommitEnd = this.ended ? "endOfInput" : barrier !== undefined ? "barrier" : "turn";
    const effects = this.takeEffects(end);
    if (barrier !== undefined) this.passBarrier(barrier);
    const rows = this.takeRows(seq);
    const commit = { ...this.plan, seq, held: this.channels.held.takeChange(), rows, effects, progress: this.progress() };
    this.head = seq;
    this.moved = false;
    const { generation, deployment, task, held, progress } = commit;
    return { generation, deployment, task, seq, held, progress, rows, effects };
  }

  private passBarrier(barrier: Barrier): void {
    this.channels.alignment.pass(barrier);
    this.barrierDue = undefined;
    // Whoever lets the job go on asks for a checkpoint first: what was put aside before is no reason to rest again.
    this.letters = { since: this.now, count: 0 };
  }

  private takeRows(seq: Seq): RowChanges[] {
    const rows: RowChanges[] = [];
    for (const store of this.chain.stores) {
      if (!store.isDirty) continue;
      this.rowWriter.out.clear();
      if (this.writeChanges(store, seq) > 0)
        rows.push({ operator: store.operator, schema: store.schema, bytes: this.rowWriter.out.take() });
    }
    return rows;
  }

  private writeChanges(store: KeyedStore, seq: Seq): number {
    try {
      return store.writeChanges(this.rowWriter, seq);
    } catch (error) {
      throw blame(error, ownerOf(store.operator));
    }
  }

  private takeEffects(end: CommitEnd): Effect[] {
    const effects = this.writers.take(this.now);
    for (const [operator, sink] of this.chain.sinks)
      for (const { payload, as } of sink.flush(end, (refused) => this.addRefused(operator, refused)))
        effects.push({ effect: "sink", operator, n: effects.length, payload, ...(as && { as }) });
    effects.push(...this.deadLetters.take());
    if (this.declined !== undefined)
      effects.push({ effect: "acknowledge", checkpoint: this.declined.checkpoint, index: undefined, declined: true });
    this.declined = undefined;
    if (this.now >= this.standing.dueAt()) effects.push(this.standing.report(this.now));
    const wakeAt = this.nextWakeUp();
    if (wakeAt !== this.wokenAt && wakeAt !== Infinity) effects.push({ effect: "wakeAt", at: wakeAt, by: this.wakeUpBy() });
    this.wokenAt = wakeAt;
    return effects;
  }

  /** The processing time at which this task has something to do without input; Infinity: never. */
  nextWakeUp(): number {
    if (this.rests) return Infinity;
    return this.earliest((source) => source.nextIdleCheck());
  }

  /** The same, as late as it may be: at `nextWakeUp` but for what may be found out later. */
  private wakeUpBy(): number {
    return this.earliest((source) => source.nextIdleCheckBy());
  }

  private earliest(idleCheckOf: (source: SourceInput) => number | undefined): number {
    let at = this.channels.holdsGiven ? this.now : Infinity;
    const { timerDelayMs } = this.plan.limits;
    for (const store of this.chain.stores) at = Math.min(at, store.earliestTimer("processingTime") + timerDelayMs);
    at = Math.min(at, this.writers.wakeUpAt, this.standing.dueAt(), this.pollBy);
    for (const source of this.sources.values()) at = Math.min(at, idleCheckOf(source) ?? Infinity, source.nextAlignmentCheck());
    return Math.min(at, this.nextIdleCheckOfOperators());
  }

  /** When an operator that makes event time may be found idle, epoch ms. */
  nextIdleCheckOfOperators(): number {
    let at = Infinity;
    for (const node of this.chain.nodes) if (node instanceof AssignerNode) at = Math.min(at, node.nextIdleCheck() ?? Infinity);
    return at;
  }

  private progress(): Progress {
    const sources = new Map<string, SourceProgress>();
    let taken = 0;
    for (const [uid, source] of this.sources) {
      sources.set(uid, source.progress());
      taken += source.taken;
      source.taken = 0;
    }
    this.totals.records += taken;
    return {
      sources,
      ...this.channels.progress(),
      ...this.writers.progress(),
      ...(this.standing.told && { told: this.standing.told }),
      valves: valveProgress(this.chain),
      ...(this.sorting.length > 0 && { sorts: new Map(this.sorting.map((node) => [node.uid, node.progress()])) }),
      sinks: this.sinkStates(),
      now: this.now,
      ended: this.ended,
      successors: this.successors,
      versionOffset: this.start.versionOffset,
      ...(this.letters.count > 0 && { letters: { ...this.letters } }),
      totals: { ...this.totals },
    };
  }

  private sinkStates(): Map<string, unknown> {
    const states = new Map<string, unknown>();
    for (const [uid, sink] of this.chain.sinks) {
      const state = sink.writer.state();
      if (state !== undefined) states.set(uid, state);
    }
    return states;
  }

  // ---- what units need ----

  partitionKey(): string {
    return (this.reading as SourceInput).partitionKey;
  }

  /** Only nodes after it matter: the last one that waits can always go on. */
  pauses(node: ChainNode): boolean {
    if (!this.units.guarded) return false;
    for (const later of this.nodesDownstreamFirst) {
      if (later === node) return false;
      if (later.blocked) return true;
    }
    return false;
  }

  mark(): void {
    for (const store of this.chain.stores) store.startUnit();
    this.outputMark = {
      writers: this.writers.mark(),
      sinks: new Map([...this.chain.sinks].map(([uid, sink]) => [uid, sink.length])),
      gathered: new Map(this.sorting.map((node) => [node, node.markGathered()])),
      letters: this.deadLetters.length,
    };
  }

  takeBack(): void {
    const mark = this.outputMark!;
    for (const node of this.chain.nodes) node.dropWaitingRecords();
    for (const store of this.chain.stores) store.undoUnit();
    this.writers.rollback(mark.writers);
    for (const [node, at] of mark.gathered) node.takeBackGathered(at);
    for (const [uid, length] of mark.sinks) this.chain.sinks.get(uid)?.truncate(length);
    this.deadLetters.truncate(mark.letters);
    this.outputMark = undefined;
  }

  check(): void {
    for (const store of this.chain.stores) {
      try {
        store.checkUnit();
      } catch (error) {
        throw blame(error, ownerOf(store.operator));
      }
    }
  }

  forget(): void {
    for (const store of this.chain.stores) store.endUnit();
    this.outputMark = undefined;
  }

  waiting(): boolean {
    return this.chain.nodes.some((node) => node.holdsRecords);
  }

  deadLetter(origin: UnitOrigin, error: MillraceError): void {
    this.addDeadLetter(origin, String(error.context.operator), error.message);
    if (origin.kind === "timer") this.chain.byUid.get(origin.operator)?.timerFailed(origin);
  }

  /** More records were put aside within a minute than the job allows. */
  get isFlooded(): boolean {
    return this.letters.count > this.plan.job.options.deadLettersPerMinuteMax;
  }

  /** How many were. */
  get lettersThisMinute(): number {
    return this.letters.count;
  }

  private addDeadLetter(origin: UnitOrigin, operator: string, reason: string): void {
    this.totals.deadLetters++;
    this.letters.count++;
    this.deadLetters.add(origin, operator, reason);
  }

  private addRefused(operator: string, { again, timestamp, error }: RefusedRow): void {
    this.totals.deadLetters++;
    this.letters.count++;
    const { what } = again;
    const back = what === "row" ? rowBack(operator, again, timestamp) : ({ what, to: operator, value: again.message } as const);
    this.deadLetters.addRow(what === "row" ? again.value : again.message, operator, messageOf(error), back);
  }

  count(_operator: string, name: string, n: number): void {
    if (name === "lateDropped") this.totals.lateDropped += n;
    this.counters.set(name, (this.counters.get(name) ?? 0) + n);
  }

  /** Records taken in so far, with those of the open commit. */
  get taken(): number {
    let taken = this.totals.records;
    for (const source of this.sources.values()) taken += source.taken;
    return taken;
  }

  get summary(): Readonly<Counters> {
    return this.totals;
  }

  /** The lowest watermark among the task's outputs; -Infinity before the first. */
  get watermark(): number {
    let lowest = maxWatermark;
    for (const source of this.sources.values()) lowest = Math.min(lowest, source.watermark ?? maxWatermark);
    for (const node of this.chain.nodes) lowest = Math.min(lowest, node.current);
    return lowest;
  }
}
