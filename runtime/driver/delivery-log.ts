/**
 * Remembers which deliveries environments were at that were never heard of again (L14): a queue's messages have no place at which deaths could
 * be counted, and come again among others, while those others are committed.
 *
 * Each environment has a message of its own in the task's mailbox, which no other writes while it lives: what it is at, and until when it
 * can be alive. Posted before a step in which something has come often, taken back when the environment lives, whatever came of the step.
 * That something has come often says no more than that it is worth a message: it may have been throttled, or come late.
 *
 * - What a dead environment was at is suspected, and narrowed down (decide-deliveries.ts). One alone is attempted as everything else is
 *   (attempt-log.ts), under its own name, so that units of work are told apart, and it goes to the dead letters after so many deaths.
 * - What has passed is taken out of the messages of the dead. When the one that killed is found, what they say is explained, and is void.
 *
 * A1 Only deaths are counted: of an invocation that is over without a word.
 */
import { decodeValue, encodeValue } from "../base/message-pack.ts";
import * as is from "../base/shape.ts";
import type { SourceRecord } from "../api/connector.ts";
import type { Clock } from "../ports/clock.ts";
import type { Journal, Message } from "../ports/journal.ts";
import { deliveriesMessage, deliveriesPrefix } from "../snapshots/names.ts";
import type { TaskId } from "../base/ids.ts";
import type { TakenDeliveries } from "./taken-deliveries.ts";
import { decideDeliveries, type Deliveries, type DeliveryStep, idOf } from "./decide-deliveries.ts";

/** So many that have come often are in one step at most: they are named in one message. */
const namedMax = 2_000;
/** A queue keeps nothing for longer: then what a dead environment was at comes no more. */
const forgottenMs = 14 * 24 * 60 * 60_000;

/** What an environment is at. */
interface Posted {
  readonly ids: readonly string[];
  /** Epoch ms: then its invocation is over. */
  readonly until: number;
}

const postedShape = is.object({ ids: is.listOf(is.text), until: is.time });

/** Throws `corrupt`. */
export function decodeDeliveries(bytes: Uint8Array): Posted {
  const posted = decodeValue(bytes);
  is.checkShape("a message of deliveries", posted, postedShape);
  return posted as Posted;
}

interface Found extends Posted {
  readonly name: string;
  readonly version: number;
}

export interface DeliveryLogOptions {
  readonly task: TaskId;
  readonly journal: Journal;
  readonly clock: Clock;
  /** The environment. */
  readonly by: string;
  /** What has come so often is named before it is taken in. */
  readonly suspectFrom: number;
  /** No invocation lives longer, ms. */
  readonly invocationMsMax: number;
  /** Those of which one alone is attempted, and whether whoever is at it may live. */
  readonly alone: ReadonlyMap<string, boolean>;
  readonly taken: TakenDeliveries;
}

/** Of one shard, for a turn. */
export class DeliveryLog {
  private readonly options: DeliveryLogOptions;
  private readonly own: string;
  private version: number;
  private posted: boolean;
  private dead: Found[];
  private readonly occupied: Set<string>;
  private alone: Set<string>;
  private readonly passed = new Set<string>();
  private readonly explained = new Set<string>();

  /** `what`: the shard, with its source. `messages`: of the task's mailbox. */
  constructor(what: string, options: DeliveryLogOptions, messages: readonly Message[]) {
    this.options = options;
    this.own = deliveriesMessage(what, options.by);
    const found = messages
      .filter(({ name }) => name.startsWith(deliveriesPrefix(what)))
      .map(({ name, version, bytes }): Found => ({ name, version, ...decodeDeliveries(bytes) }));
    const mine = found.find(({ name }) => name === this.own);
    this.version = mine?.version ?? 0;
    this.posted = mine !== undefined;
    const now = options.clock.now();
    const others = found.filter(({ name }) => name !== this.own);
    this.dead = others.filter(({ until }) => until <= now);
    this.occupied = new Set(others.filter(({ until }) => until > now).flatMap(({ ids }) => ids));
    this.alone = new Set();
    for (const [id, mayLive] of options.alone) (mayLive ? this.occupied : this.alone).add(id);
  }

  /** The next step over what is left; undefined: the rest is to be brought again. */
  next(left: readonly SourceRecord[]): DeliveryStep | undefined {
    const { occupied } = this;
    const { risked } = this.options.taken;
    const deaths: Deliveries[] = [...this.alone].map((id) => new Set([id]));
    for (const { ids } of this.dead) deaths.push(new Set(ids));
    const step = decideDeliveries(left, { deaths, occupied, risked, comesOften: this.comesOften });
    if (step === undefined || step.isRisk) return step;
    const named = step.records.filter(this.comesOften);
    const last = named[namedMax];
    return last === undefined ? step : { ...step, records: step.records.slice(0, step.records.indexOf(last)) };
  }

  /** Whether what is in a step must be named before it begins; it then begins at a commit, and ends in one of its own. */
  names({ records, isRisk }: DeliveryStep): boolean {
    return isRisk || records.some(this.comesOften);
  }

  /** Before a step. */
  async announce({ records, isRisk }: DeliveryStep): Promise<void> {
    const named = isRisk ? records : records.filter(this.comesOften);
    if (named.length > 0) await this.post([...new Set(named.map(idOf))]);
    else await this.takeBack();
  }

  private readonly comesOften = ({ delivery }: SourceRecord): boolean => (delivery?.times ?? 0) >= this.options.suspectFrom;

  private async post(ids: readonly string[]): Promise<void> {
    const { task, journal, clock, invocationMsMax } = this.options;
    const until = clock.now() + Math.min(clock.remainingMs(), invocationMsMax);
    // What may have been posted is to be taken back.
    this.posted = true;
    const bytes = encodeValue({ ids, until } satisfies Posted);
    await journal.post(task, { name: this.own, version: ++this.version, bytes });
  }

  /** A step is committed. `found`: what killed was put aside in it. */
  stepPassed({ records, isRisk }: DeliveryStep, found: boolean): void {
    const ids = new Set(records.map(idOf));
    for (const id of ids) {
      this.passed.add(id);
      this.alone.delete(id);
    }
    if (isRisk) this.options.taken.risked = found ? "found" : "passed";
    if (!found) return;
    for (const { name, ids: suspected } of this.dead) if (suspected.some((id) => ids.has(id))) this.explained.add(name);
    this.dead = this.dead.filter(({ name }) => !this.explained.has(name));
  }

  /** The environment lives, whatever came of its steps. */
  async takeBack(): Promise<void> {
    const { task, journal } = this.options;
    if (this.posted) await journal.withdraw(task, [this.own]);
    this.posted = false;
  }

  /** The turn has ended well. */
  async end(): Promise<void> {
    await this.takeBack();
    const { task, journal, clock } = this.options;
    const over = new Set(this.explained);
    for (const { name, version, ids, until } of this.dead) {
      const rest = ids.filter((id) => !this.passed.has(id));
      if (rest.length === 0 || until + forgottenMs < clock.now()) over.add(name);
      else if (rest.length < ids.length)
        await journal.post(task, { name, version: version + 1, bytes: encodeValue({ ids: rest, until } satisfies Posted) });
    }
    if (over.size > 0) await journal.withdraw(task, [...over]);
  }
}
