/**
 * Takes frames apart: each element goes to the operator that its exchange leads to, as long as the commit may go on.
 *
 * Owns the frame that is open. The order of frames is `ChannelInput`'s affair.
 */
import { corrupt } from "../base/byte-reader.ts";
import type { ChannelId, Position } from "../base/ids.ts";
import { encodeValue } from "../base/message-pack.ts";
import { endOf } from "../plan/direct-edge.ts";
import { givenChannel } from "../snapshots/given-letters.ts";
import type { Activity } from "../state/activity.ts";
import { type Element, readElement, type Successor } from "../streaming/element.ts";
import type { Frame } from "../streaming/frame.ts";
import type { Barriers } from "./barriers.ts";
import type { Chain } from "./chain.ts";
import type { ChainNode } from "./chain-node.ts";
import type { ChannelInput, FramesInput } from "./channel-input.ts";
import { recordBack } from "./given-back.ts";
import type { TaskPlan } from "./task-plan.ts";
import type { UnitOrigin, Units } from "./units.ts";

/** Why feeding stopped. */
export type FeedStatus =
  /** The input is taken in. */
  | "done"
  /** Key groups must be loaded first. */
  | "blocked"
  /** A barrier: the commit must end here. */
  | "barrier"
  /** Enough for one commit. */
  | "full"
  /** A frame of a newer generation stands next. */
  | "newer";

/** The task whose frames they are. */
interface Receiver {
  readonly plan: TaskPlan;
  readonly chain: Chain;
  readonly channels: ChannelInput;
  readonly barriers: Barriers;
  readonly units: Units;
  readonly activity: Activity;
  readonly rests: boolean;
  readonly blocked: boolean;
  readonly isFull: boolean;
  moved: boolean;
  goOn(): void;
  catchUp(): void;
}

type RecordElement = Element & { readonly kind: "record" };

export class FrameFeed {
  private readonly task: Receiver;
  /** Records taken in since the last commit. */
  taken = 0;
  private frame: Frame | undefined;
  private position = "";
  private element: RecordElement | undefined;
  private readonly origin: UnitOrigin;

  constructor(task: Receiver) {
    this.task = task;
    this.origin = {
      kind: "record",
      operator: () => endOf(task.plan.job, (this.element as RecordElement).edge)?.to ?? "",
      shard: "inbox",
      position: () => this.position,
      bytes: () => encodeValue((this.element as RecordElement).value),
      back: () => recordBack(task.plan, this.element as RecordElement),
    };
  }

  /** Feeds frames of the inbox. Held frames that need wait no longer come first. */
  feed(input: FramesInput): FeedStatus {
    const { task } = this;
    const { channels } = task;
    const status = this.feedHeld();
    if (status !== "done") return status;
    channels.skipKnown(input);
    while (input.at < input.records.length) {
      const record = input.records[input.at]!;
      if (task.rests && channels.isNews(record)) task.goOn();
      this.position = record.position;
      const received = channels.receive(record);
      if (received.outcome === "newer") return "newer";
      task.moved = true;
      channels.position = record.position as Position;
      input.at++;
      if (received.outcome === "apply") {
        this.frame = received.frame;
        const after = this.feedFrame();
        if (after !== "done") return after;
      }
      task.barriers.declineWhenTooMuchIsHeld();
      const held = this.feedHeld();
      if (held !== "done") return held;
      if (task.isFull) return "full";
    }
    return "done";
  }

  /** Goes on with the open frame, then with held frames that need wait no longer. */
  private feedHeld(): FeedStatus {
    for (;;) {
      const status = this.feedFrame();
      if (status !== "done") return status;
      this.frame = this.task.channels.releaseHeld();
      if (this.frame === undefined) return "done";
      this.task.moved = true;
    }
  }

  /** Dead letters that were given back wait: they are taken in before anything else. */
  get holdsGiven(): boolean {
    const { channels, plan } = this.task;
    return channels.holdsGiven || (this.frame !== undefined && this.frame.channel === givenChannel(plan.task));
  }

  /** Feeds a frame of them. */
  feedGiven(): FeedStatus {
    if (this.frame === undefined) this.frame = this.task.channels.releaseGiven();
    if (this.frame === undefined) return "done";
    this.task.moved = true;
    return this.feedFrame();
  }

  private feedFrame(): FeedStatus {
    const { frame } = this;
    const { units, barriers } = this.task;
    if (frame === undefined) return barriers.due === undefined ? "done" : "barrier";
    while (!frame.elements.done) {
      if (units.guarded && this.task.blocked) return "blocked";
      const { at } = frame.elements;
      const element = readElement(frame.elements);
      if (units.guarded && element.kind === "record") {
        this.element = element;
        if (!units.mayBegin(this.originOf(element))) {
          frame.elements.at = at;
          return "blocked";
        }
      }
      this.takeElement(frame.channel, element);
    }
    this.task.catchUp();
    this.frame = undefined;
    return barriers.due === undefined ? "done" : "barrier";
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
        return this.task.barriers.onBarrier(channel, element.barrier);
      case "end":
        return this.onEnd(channel, element.successors);
    }
  }

  private takeUnit(element: RecordElement): void {
    const origin = this.originOf(element);
    if (origin.kind === "record") this.task.units.record(origin, () => this.takeRecord(element));
    else this.task.units.timer(origin, () => this.takeAgain(element));
  }

  /** A timer that was given back stands in the place of a record. */
  private originOf({ edge, value, key }: RecordElement): UnitOrigin {
    const { job } = this.task.plan;
    if (edge < job.exchanges.length || key === undefined || endOf(job, edge)?.way !== "again") return this.origin;
    return this.receiver(edge).originAgain(value, key);
  }

  private takeAgain({ edge, value, timestamp, key }: RecordElement): void {
    this.task.activity.count++;
    this.receiver(edge).again(value, timestamp, key);
  }

  private takeRecord(element: RecordElement): void {
    const end = endOf(this.task.plan.job, element.edge);
    if (end?.way === "again") return this.takeAgain(element);
    this.taken++;
    this.receiver(element.edge).record(element.value, element.timestamp, end?.input ?? 0, element.key);
  }

  private receiver(edge: number): ChainNode {
    const { plan, chain } = this.task;
    const end = endOf(plan.job, edge);
    const node = end && chain.byUid.get(end.to);
    if (node === undefined) throw corrupt(`a frame names exchange ${edge}, which does not lead to task ${plan.task}`);
    return node;
  }

  private onEnd(channel: ChannelId, successors: readonly Successor[]): void {
    const { plan, channels, barriers } = this.task;
    for (const exchange of plan.job.exchanges) this.endValve(exchange.number, channel, successors);
    channels.end(channel, successors);
    barriers.onEnd();
  }

  private endValve(exchange: number, channel: ChannelId, successors: readonly Successor[]): void {
    const { job, stage } = this.task.plan;
    const { to, toStage } = job.exchanges[exchange]!;
    const node = toStage === stage.id ? this.task.chain.byUid.get(to) : undefined;
    const name = `${exchange}:${channel}`;
    const valve = node?.valve;
    if (node === undefined || valve?.has(name) !== true) return;
    for (const { channel: child, parents } of this.task.channels.successorsOf(successors)) {
      const inputs = parents.map((parent) => `${exchange}:${parent}`);
      // While a parent is unknown its own parents hold time back; its end names the child again.
      if (inputs.every((input) => valve.has(input))) node.applyChange(valve.addChild(`${exchange}:${child}`, inputs));
    }
    node.applyChange(valve.end(name, successors.length > 0));
  }
}
