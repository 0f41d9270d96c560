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
import { ByteWriter } from "../base/byte-writer.ts";
import type { BlobName, KeyGroup, Seq, ShardId } from "../base/ids.ts";
import type { CommitEnd } from "../api/connector.ts";
import { Activity } from "../state/activity.ts";
import type { Commit, Effect, Progress, RowChanges, SourceProgress, Totals } from "../state/commit.ts";
import type { TaskIndex } from "../state/state-index.ts";
import { RowWriter } from "../state/row-writer.ts";
import type { KeyedStore, LoadedPart } from "../state/keyed-store.ts";
import { ownerOf } from "../state/operator-state.ts";
import type { Successor } from "../streaming/element.ts";
import type { ValveChange } from "../time/watermark-valve.ts";
import { maxWatermark, minWatermark } from "../time/watermark.ts";
import { AlignmentStanding } from "./alignment-standing.ts";
import { AssignerNode } from "./assigner-node.ts";
import { Barriers } from "./barriers.ts";
import { buildChain, type Chain } from "./chain.ts";
import { blame } from "./blame.ts";
import { ChannelInput, type FramesInput } from "./channel-input.ts";
import type { ChainNode, TaskShared } from "./chain-node.ts";
import { ChannelWriters } from "./channel-writers.ts";
import { DeadLetterOutbox } from "./dead-letter-outbox.ts";
import { FrameFeed, type FeedStatus } from "./frame-feed.ts";
import type { NodeOutput } from "./node-output.ts";
import { OpenUnit } from "./open-unit.ts";
import { SortedInputs } from "./sorted-inputs.ts";
import type { StepStatus } from "./sorting-node.ts";
import { type RecordsInput, SourceInput } from "./source-input.ts";
import { createValves, restoreWatermarks, valveProgress } from "./task-time.ts";
import type { TaskPlan } from "./task-plan.ts";
import type { TaskStart } from "./task-start.ts";
import { Units } from "./units.ts";

export class Task implements TaskShared {
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
  readonly writers: ChannelWriters;
  readonly barriers: Barriers;
  /** Operators in batch mode. */
  readonly sorted: SortedInputs;
  readonly deadLetters: DeadLetterOutbox;
  private readonly nodesDownstreamFirst: readonly ChainNode[];
  readonly activity: Activity;
  private readonly frames: FrameFeed;
  /** The bytes of pages in each segment that the index refers to. */
  readonly segments: Map<BlobName, number>;
  /** Of a task whose shard has ended: who goes on with its range. */
  successors: readonly Successor[];
  private records: number;
  private lateDropped: number;
  /** The source whose records are being taken in. */
  private reading: SourceInput | undefined;
  /** Something has come, or time has moved on, since the last commit. */
  moved = false;
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
    const { records, lateDropped, deadLetters } = start.progress.totals;
    this.records = records;
    this.lateDropped = lateDropped;
    this.deadLetters = new DeadLetterOutbox(start.progress.letters, deadLetters);
    this.units = new Units(this.activity, new OpenUnit(this), plan.job.options.onUserError === "fail");
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
    this.sorted = new SortedInputs(this.chain.nodes);
    const { job, generation, deployment, task, safeguards } = plan;
    this.channels = new ChannelInput({ job: job.name, generation, deployment, task, safeguards }, start.progress, start.held);
    this.barriers = new Barriers(plan, this.channels, this.writers);
    this.frames = new FrameFeed(this);
    for (const uid of plan.stage.sources) this.sources.set(uid, this.createSource(uid, start.progress.sources.get(uid)));
    for (const [uid, state] of start.progress.sinks) this.chain.sinks.get(uid)?.writer.restore(state);
    createValves(this, start.progress);
    restoreWatermarks(this, start.progress);
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
      reject: (origin, operator, reason) => this.deadLetters.add(origin, operator, reason),
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
    this.deadLetters.passTime(this.now);
    this.passTime();
  }

  /** Timers whose processing time has come fire. */
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
  catchUp(): void {
    for (const node of this.chain.nodes) node.catchUp();
  }

  /** Enough for one commit: of frames, or of records gathered to be sorted. */
  get isFull(): boolean {
    const { outputBytesMax, gatheredBytesMax } = this.plan.limits;
    return this.writers.sizeBytes > outputBytesMax || this.sorted.gatheredBytes > gatheredBytesMax;
  }

  /** Feeds frames of the inbox. Held frames that need wait no longer come first. */
  feedFrames(input: FramesInput): FeedStatus {
    return this.frames.feed(input);
  }

  /** Dead letters that were given back wait: they are taken in before anything else. */
  get holdsGiven(): boolean {
    return this.frames.holdsGiven;
  }

  /** Feeds a frame of them. */
  feedGiven(): FeedStatus {
    return this.frames.feedGiven();
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

  /** Goes on with sorted input (batch mode). */
  feedSorted(): StepStatus {
    this.moved ||= this.sorted.haveMore;
    return this.sorted.feed(() => this.isFull);
  }

  // ---- ends ----

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
    return this.moved || this.deadLetters.length > 0 || this.barriers.mustBeTold;
  }

  /** Ends the open commit: its changes of state, outputs and progress. The driver adds where it lies and who wrote it. */
  finish(): Pick<Commit, "generation" | "deployment" | "task" | "seq" | "progress" | "held" | "rows" | "effects"> {
    assert(!this.chain.nodes.some((node) => node.keepsBack), `task ${this.plan.task} commits while records wait`);
    assert(!this.blocked && !this.units.interrupted, `task ${this.plan.task} commits while elements wait`);
    const seq = this.head + 1;
    const barrier = this.barriers.due;
    if (barrier !== undefined) this.writers.barrier(barrier);
    const end: CommitEnd = this.ended ? "endOfInput" : barrier !== undefined ? "barrier" : "turn";
    const effects = this.takeEffects(end);
    this.barriers.pass();
    // Whoever lets the job go on asks for a checkpoint first: what was put aside before is no reason to rest again.
    if (barrier !== undefined) this.deadLetters.countAnew(this.now);
    const rows = this.takeRows(seq);
    const commit = { ...this.plan, seq, held: this.channels.held.takeChange(), rows, effects, progress: this.progress() };
    this.head = seq;
    this.moved = false;
    const { generation, deployment, task, held, progress } = commit;
    return { generation, deployment, task, seq, held, progress, rows, effects };
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
      for (const { payload, as } of sink.flush(end, (refused) => this.deadLetters.addRefused(operator, refused)))
        effects.push({ effect: "sink", operator, n: effects.length, payload, ...(as && { as }) });
    effects.push(...this.deadLetters.take());
    effects.push(...this.barriers.takeDeclined());
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
    let { taken } = this.frames;
    this.frames.taken = 0;
    for (const [uid, source] of this.sources) {
      sources.set(uid, source.progress());
      taken += source.taken;
      source.taken = 0;
    }
    this.records += taken;
    const letters = this.deadLetters.thisMinute;
    return {
      sources,
      ...this.channels.progress(),
      ...this.writers.progress(),
      ...(this.standing.told && { told: this.standing.told }),
      valves: valveProgress(this.chain),
      ...this.sorted.progress(),
      sinks: this.sinkStates(),
      now: this.now,
      ended: this.ended,
      successors: this.successors,
      versionOffset: this.start.versionOffset,
      ...(letters && { letters }),
      totals: this.summary,
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

  // ---- what operators ask ----

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

  /** More records were put aside within a minute than the job allows. */
  get isFlooded(): boolean {
    return this.lettersThisMinute > this.plan.job.options.deadLettersPerMinuteMax;
  }

  /** How many were. */
  get lettersThisMinute(): number {
    return this.deadLetters.thisMinute?.count ?? 0;
  }

  count(_operator: string, name: string, n: number): void {
    if (name === "lateDropped") this.lateDropped += n;
    this.counters.set(name, (this.counters.get(name) ?? 0) + n);
  }

  /** Records taken in so far, with those of the open commit. */
  get taken(): number {
    let taken = this.records + this.frames.taken;
    for (const source of this.sources.values()) taken += source.taken;
    return taken;
  }

  /** Counted since the task began; of what sources have read, up to the last commit. */
  get summary(): Totals {
    const { records, frames, deadLetters, lateDropped } = this;
    return { records: records + frames.taken, deadLetters: deadLetters.total, lateDropped };
  }

  /** The lowest watermark among the task's outputs; -Infinity before the first. */
  get watermark(): number {
    let lowest = maxWatermark;
    for (const source of this.sources.values()) lowest = Math.min(lowest, source.watermark ?? maxWatermark);
    for (const node of this.chain.nodes) lowest = Math.min(lowest, node.current);
    return lowest;
  }
}
