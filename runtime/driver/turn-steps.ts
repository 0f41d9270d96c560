/**
 * The steps of a turn: what is fed to a task, in parts as its time allows, and finished before the next step.
 *
 * L14 What kills environments without an exception is narrowed down: where one has died, each step is announced before, is small, and ends in
 *     a commit of its own (attempt-log.ts).
 */
import type { SourceRecord } from "../api/connector.ts";
import type { Position } from "../base/ids.ts";
import type { Ports } from "../ports/ports.ts";
import { isBefore } from "../streaming/position.ts";
import type { FeedStatus } from "../task/frame-feed.ts";
import type { Attempt } from "./attempt-log.ts";
import type { Committer } from "./committer.ts";
import { type DeliveryStep, idOf } from "./decide-deliveries.ts";
import type { DeliveryLog } from "./delivery-log.ts";
import { loadMissing } from "./load-groups.ts";
import { type Fed, mustRest, type OpenedTask } from "./opened-task.ts";

export class TurnSteps {
  private readonly ports: Ports;
  private readonly committer: Committer;

  constructor(ports: Ports, committer: Committer) {
    this.ports = ports;
    this.committer = committer;
  }

  /** Time moves on in the task; timers that are due fire. */
  async begin(opened: OpenedTask, guarded: boolean): Promise<void> {
    const { task } = opened;
    const now = this.ports.clock.now();
    const attempt = task.nextWakeUp() <= now ? opened.attempts?.of("time", String(task.head)) : undefined;
    if (attempt?.careful === true) await attempt.beginStep(String(task.head), 0);
    else await attempt?.begin();
    task.begin(now, guarded || attempt?.careful === true);
    await this.endStep(opened);
  }

  /**
   * The task rests no longer: timers that have come due meanwhile fire before what lets it go on is taken in, as a step of their own. With that
   * they would come again at each attempt, and more of them (A4).
   */
  async goOn(opened: OpenedTask): Promise<void> {
    const { task } = opened;
    task.goOn();
    await this.begin(opened, task.units.guarded);
  }

  /** Before a step that takes in no records. `at`: its place, a new one after each commit unless it `stays`. */
  async announce(opened: OpenedTask, what: string, at: () => string, stays = false): Promise<void> {
    const attempt = opened.attempts?.of(what, at(), stays);
    if (attempt?.careful === true) await this.beginCareful(opened, attempt, at, 0);
    else await attempt?.begin();
  }

  /** Begins a careful step, at a commit. Returns how many records it takes in. */
  private async beginCareful(opened: OpenedTask, attempt: Attempt, at: () => string, records: number): Promise<number> {
    if (opened.task.changed) await this.committer.commit(opened);
    return attempt.beginStep(at(), records);
  }

  /** After a step: what waits is finished; a careful one ends in a commit of its own. */
  async endStep(opened: OpenedTask): Promise<void> {
    await this.drain(opened);
    const { attempts, task } = opened;
    if (attempts?.current?.careful !== true) return;
    if (task.changed) await this.committer.commit(opened);
    attempts.stepPassed();
  }

  /** Commits what has changed so far: who loses a later race has got on by that. */
  async commit(opened: OpenedTask): Promise<void> {
    if (opened.task.changed) await this.committer.commit(opened);
  }

  /** What this environment attempted has not killed it. */
  async endAttempts(opened: OpenedTask): Promise<void> {
    const { attempts, deliveries } = opened;
    opened.attempts = undefined;
    await attempts?.end();
    await deliveries?.log?.end();
  }

  /** The turn has failed, and this environment lives. */
  async takeAttemptsBack({ attempts, deliveries }: OpenedTask): Promise<void> {
    await attempts?.takeBack();
    await deliveries?.log?.takeBack();
  }

  /** Feeds a batch in as many parts as the time, or caution, asks for. */
  async feedParts(
    opened: OpenedTask,
    what: string,
    batch: readonly SourceRecord[],
    position: () => Position | "horizon",
    feed: (part: readonly SourceRecord[]) => Promise<Fed>,
  ): Promise<Fed> {
    const { budget } = opened;
    const first = batch.findIndex((record) => isBefore(position(), record.position));
    if (first < 0) return "done";
    for (let from = first; from < batch.length;) {
      const attempt = opened.attempts?.of(what, position());
      const careful = attempt?.careful === true;
      if (budget.isOver || mustRest(opened.task) || (careful && attempt.occupied)) return "late";
      const left = budget.begin(batch.length - from);
      const taken = careful ? await this.beginCareful(opened, attempt, position, left) : left;
      if (!careful) await attempt?.begin();
      const part = taken === batch.length ? batch : batch.slice(from, from + taken);
      const status = await feed(part);
      if (status !== "done") return status;
      if (careful) await this.endStep(opened);
      budget.end(taken);
      // A source that runs ahead of others stops within a batch.
      if (position() !== part.at(-1)?.position) return "done";
      from += taken;
    }
    return "done";
  }

  /**
   * Feeds deliveries, which are numbered as they are taken in. "late": some are left to be brought again, for time or for caution.
   *
   * `what`: what their names begin with.
   */
  async feedDeliveries(
    opened: OpenedTask,
    what: string,
    position: () => Position | "horizon",
    feed: (part: readonly SourceRecord[]) => Promise<Fed>,
  ): Promise<Fed> {
    const { budget } = opened;
    const { taken, log } = opened.deliveries!;
    for (let left = taken.left; left.length > 0;) {
      if (budget.isOver || mustRest(opened.task)) return "late";
      const step = log === undefined ? { records: left, isRisk: false } : log.next(left);
      if (step === undefined) return "late";
      const records = step.records.slice(0, budget.begin(step.records.length));
      const feedStep = () => feed(taken.number(records, position()));
      const status = await this.feedStep(opened, what, { records, isRisk: step.isRisk }, feedStep);
      if (status !== "done") return status;
      budget.end(records.length);
      const fed = new Set(records);
      left = left.filter((record) => !fed.has(record));
    }
    return "done";
  }

  private async feedStep(opened: OpenedTask, what: string, step: DeliveryStep, feed: () => Promise<Fed>): Promise<Fed> {
    const { attempts } = opened;
    const log = opened.deliveries?.log;
    if (log === undefined || attempts === undefined) return feed();
    const [first] = step.records;
    if (step.isRisk && step.records.length === 1) {
      await log.takeBack();
      return this.feedAlone(opened, `${what}${idOf(first!)}`, log, step, feed);
    }
    const isNamed = log.names(step);
    if (isNamed) await this.commit(opened);
    await log.announce(step);
    const status = await feed();
    if (status !== "done" || !isNamed) return status;
    await this.drain(opened);
    await this.commit(opened);
    log.stepPassed(step, false);
    return "done";
  }

  private async feedAlone(
    opened: OpenedTask,
    name: string,
    log: DeliveryLog,
    step: DeliveryStep,
    feed: () => Promise<Fed>,
  ): Promise<Fed> {
    const attempts = opened.attempts!;
    const attempt = attempts.ofDelivery(name);
    await this.beginCareful(opened, attempt, () => "", 1);
    const status = await feed();
    if (status !== "done") return status;
    const found = attempt.hasKillers;
    await this.endStep(opened);
    await attempts.deliveryPassed(name, found);
    log.stepPassed(step, found);
    return "done";
  }

  /** Feeds until the input is taken in, committing wherever a commit must end. */
  async feed(opened: OpenedTask, step: () => FeedStatus): Promise<Fed> {
    for (;;) {
      const status = step();
      await this.drain(opened);
      if (status === "newer") return status;
      if (status === "barrier" || status === "full" || opened.task.barriers.due !== undefined)
        await this.committer.commit(opened);
      else if (status === "done") return status;
      if (status === "full" && mustRest(opened.task)) return "late";
    }
  }

  /** Loads what elements wait for, and lets them go on, until nothing waits. */
  async drain(opened: OpenedTask): Promise<void> {
    const { task } = opened;
    while (task.blocked || task.units.held !== undefined) {
      if (task.units.held !== undefined) await opened.attempts?.current?.allowMore();
      if (!task.blocked) return;
      await loadMissing(task, this.ports.blobs, this.ports.pages);
      task.resume();
    }
  }
}
