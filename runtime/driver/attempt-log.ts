/**
 * Counts the environments that began on something of a task and were never heard of again, and narrows down what they died of (L14):
 * out of memory, out of time, an exit. No exception tells of it, so whoever comes next must know what was being done.
 *
 * What is done has a name and a place: the input that is read and its position, the end of a shard, timers and the head, sorted input and
 * what is left of it. For each name there is a message in the task's mailbox: at which place, how many died, what the last one was doing. It
 * is void once its place is left; what is committed elsewhere in the task leaves it as it is, so that neighbours which get on do not hide a death. For the
 * same reason an environment is proven by name: nothing is posted of that which it has committed before, unless others died at the place
 * where it stands. A place that kills is thus passed over in silence only by those who had got on there before it was reached.
 *
 * - The first two (`plain`) take the batch as it comes.
 * - From the third on they are *careful*: each step ends in a commit of its own, and is announced before it runs. A step that takes in
 *   several records takes half of those that are suspected; what passes is committed and no longer suspected.
 * - A step of one record (which may be a frame of many elements, and may fire many timers) announces its units before they begin, first
 *   one by one, then more and more at once. So does a step without records: timers that are due, the end of a shard.
 * - A unit that has killed alone as often as the options say goes to the dead letters by its name, and the rest goes on.
 *
 * A1 Only deaths are counted. An environment that lives takes its attempt back. One that is silent is dead when its doorbell rings again,
 *    which it does not before the last answer, or when its lease is over.
 * A2 Whoever finds an attempt that may live lets it: a plain one goes on and says nothing, a careful one leaves the step to the other.
 * A3 Who finds its attempt superseded starts over, and leaves the newer one as it is.
 * A4 The units of a step come in the same order at every attempt: it begins at a commit, and takes the same records first.
 */
import { MillraceError } from "../base/errors.ts";
import { decodeValue, encodeValue } from "../base/message-pack.ts";
import * as is from "../base/shape.ts";
import type { Clock } from "../ports/clock.ts";
import type { Journal, Message } from "../ports/journal.ts";
import { attemptMessage, attemptPrefix } from "../snapshots/names.ts";
import type { Task } from "../task/task.ts";
import type { Killer } from "../task/units.ts";
import type { AddressedBell } from "./doorbell.ts";
import { LostRace } from "./lost-race.ts";
import { isMappingsBatch } from "./proven-effects.ts";

export interface AttemptOptions {
  /** The number of the attempt that is the first to be careful. */
  readonly carefulFrom: number;
  /** So many environments must die of one unit alone before it goes to the dead letters. */
  readonly aloneMax: number;
  /** So long, ms, the silent environment of another doorbell counts as one that lives; its invocation's end comes first. */
  readonly leaseMs: number;
}

export const defaultAttempts: AttemptOptions = { carefulFrom: 3, aloneMax: 2, leaseMs: 30_000 };

/** What an attempt announced before it went on. */
interface Suspect {
  /** So many records the step takes in; 0: it is not of records. */
  readonly records: number;
  /** The units from number `safe` on, so many of them; 0 units: the whole step. */
  readonly safe: number;
  readonly units: number;
  /** The name of the first of them. */
  readonly name: string;
  /** How many environments have begun it alone. */
  readonly alone: number;
}

/** Who is at work. */
interface Worker {
  /** The environment. */
  readonly by: string;
  /** The doorbell that woke it, if that is not rung twice at once. */
  readonly bell: string | undefined;
  /** Epoch ms: then it is given up. */
  readonly until: number;
}

interface Attempts {
  readonly at: string;
  /** So many have died, without the one that posts this. */
  readonly deaths: number;
  /** Undefined: it lives and has taken its attempt back. */
  readonly worker: Worker | undefined;
  readonly suspect: Suspect | undefined;
  readonly killers: readonly Killer[];
}

const attemptsShape = is.object({
  at: is.text,
  deaths: is.count,
  worker: is.optional(is.object({ by: is.text, bell: is.optional(is.text), until: is.time })),
  suspect: is.optional(is.object({ records: is.count, safe: is.count, units: is.count, name: is.text, alone: is.count })),
  killers: is.listOf(is.object({ n: is.count, name: is.text, times: is.count })),
});

/** Throws `corrupt`. */
export function decodeAttempts(bytes: Uint8Array): Attempts {
  const attempts = decodeValue(bytes);
  is.checkShape("an attempt", attempts, attemptsShape);
  return attempts as Attempts;
}

/** What all attempts of a turn have in common. */
interface Turn {
  readonly task: Task;
  readonly journal: Journal;
  readonly clock: Clock;
  /** The environment. */
  readonly by: string;
  readonly bell: AddressedBell;
  readonly options: AttemptOptions;
}

/** The attempts of a turn, by what is done. */
export class AttemptLog {
  /** That of the step that runs, or ran last. */
  current: Attempt | undefined;
  private readonly turn: Turn;
  private readonly found: ReadonlyMap<string, Message>;
  private readonly proven: Set<string>;
  private readonly attempts = new Map<string, Attempt>();
  private readonly opened = new Set<string>();
  private readonly over: string[] = [];

  /** `messages`: of the task's mailbox. `proven`: of what this environment has done and lived; more is added to it. */
  constructor(turn: Turn, messages: readonly Message[], proven: Set<string>) {
    this.turn = turn;
    this.found = new Map(messages.filter(({ name }) => name.startsWith(attemptPrefix)).map((message) => [message.name, message]));
    this.proven = proven;
  }

  /**
   * The attempt at a step that begins at the last commit. Undefined: it is not counted. `stays`: a commit does not leave the place, so
   * that what was posted must be taken back after it.
   */
  of(what: string, at: string, stays = false): Attempt | undefined {
    this.current = this.attempts.get(what) ?? this.open(what, at, stays);
    return this.current;
  }

  /** The attempt at one delivery alone, which is known by its name wherever it comes. */
  ofDelivery(what: string): Attempt {
    const message = this.found.get(attemptMessage(what));
    const found = message && decodeAttempts(message.bytes);
    const turn = { ...this.turn, bell: { kind: "poke", task: this.turn.task.plan.task } as const };
    const attempt = new Attempt(turn, what, found ?? begins(""), message?.version ?? 0, false);
    attempt.careful = true;
    this.attempts.set(what, attempt);
    return (this.current = attempt);
  }

  /** Of the deliveries whose names begin so those that are attempted alone, and whether whoever is at it may live. */
  deliveries(prefix: string): ReadonlyMap<string, boolean> {
    const { by, clock } = this.turn;
    const known = new Map<string, boolean>();
    for (const [name, { bytes }] of this.found) {
      if (!name.startsWith(attemptMessage(prefix))) continue;
      const { worker } = decodeAttempts(bytes);
      known.set(
        name.slice(attemptMessage(prefix).length),
        worker !== undefined && worker.by !== by && clock.now() < worker.until,
      );
    }
    return known;
  }

  /** A delivery that was attempted alone is committed. One that was put aside (`found`) stays known as long as it may come again for want of an answer. */
  async deliveryPassed(what: string, found: boolean): Promise<void> {
    this.attempts.delete(what);
    if (found) return this.forget(what);
    this.proven.delete(what);
    await this.turn.journal.withdraw(this.turn.task.plan.task, [attemptMessage(what)]);
  }

  private open(what: string, at: string, stays: boolean): Attempt | undefined {
    const name = attemptMessage(what);
    const message = this.found.get(name);
    const last = message && decodeAttempts(message.bytes);
    if (this.proven.has(what) && last?.at !== at) return undefined;
    const found = last?.at === at ? last : begins(at);
    const attempt = new Attempt(this.turn, what, found, message?.version ?? 0, stays);
    this.attempts.set(what, attempt);
    this.opened.add(name);
    return attempt;
  }

  /** An entry is written: what was taken in with it has killed nobody. */
  async committed(): Promise<void> {
    this.prove();
    for (const [what, attempt] of this.attempts) {
      await attempt.committed();
      if (!attempt.careful) this.attempts.delete(what);
    }
  }

  /** What was begun is done. */
  private prove(): void {
    for (const [what, { hasBegun }] of this.attempts) if (hasBegun) this.proven.add(what);
  }

  /** A careful step is committed. */
  stepPassed(): void {
    const { current } = this;
    current?.passed();
    for (const [what, attempt] of this.attempts) if (attempt === current && !attempt.careful) this.attempts.delete(what);
    this.endStep();
  }

  private endStep(): void {
    this.current = undefined;
    this.turn.task.units.watch(Infinity, []);
  }

  /** The environment lives, whatever came of its attempts: takes back those that no commit has made void. */
  async takeBack(): Promise<void> {
    for (const attempt of this.attempts.values()) await attempt.takeBack();
    this.attempts.clear();
    this.endStep();
  }

  /** What is done for ever. */
  forget(...what: readonly string[]): void {
    this.over.push(...what.map(attemptMessage));
    for (const one of what) this.proven.delete(one);
  }

  /** The turn has ended well. */
  async end(): Promise<void> {
    this.prove();
    await this.takeBack();
    const names = this.over.filter((name) => this.found.has(name) || this.opened.has(name));
    if (names.length > 0) await this.turn.journal.withdraw(this.turn.task.plan.task, names);
  }
}

function begins(at: string): Attempts {
  return { at, deaths: 0, worker: undefined, suspect: undefined, killers: [] };
}

/** An attempt at something of one name. */
export class Attempt {
  /** Its steps are taken one by one. */
  careful: boolean;
  /** Another is at work on it and may live (A2). */
  readonly occupied: boolean;
  private readonly turn: Turn;
  private readonly what: string;
  private readonly stays: boolean;
  private deaths: number;
  private at: string;
  private version: number;
  private posted = false;
  private begun = false;
  private suspect: Suspect | undefined;
  private killers: readonly Killer[];
  /** The step that runs: so many records from its beginning on are suspected, and so many of them it takes in. */
  private suspected = 0;
  private records = 0;
  /** Records behind the last step that are suspected still. */
  private rest = 0;

  constructor(turn: Turn, what: string, found: Attempts, version: number, stays: boolean) {
    const { worker, at } = found;
    const { options } = turn;
    this.occupied = worker !== undefined && worker.by !== turn.by && mayLive(worker, turn);
    const { deaths, suspect, killers } = this.occupied ? found : afterwards(found, turn);
    this.turn = turn;
    this.what = what;
    this.stays = stays;
    this.at = at;
    this.version = version;
    this.deaths = deaths;
    this.careful = deaths >= options.carefulFrom - 1;
    this.suspect = suspect;
    this.killers = killers;
  }

  /** This environment has taken something in. */
  get hasBegun(): boolean {
    return this.begun;
  }

  /** Something that kills is known, and goes to the dead letters in place of being run. */
  get hasKillers(): boolean {
    return this.killers.length > 0;
  }

  /** Plain: before something new is taken in. Says, once, that this environment is at it. */
  async begin(): Promise<void> {
    this.begun = true;
    if (!this.posted && !this.occupied) await this.post(this.suspect, true);
  }

  /**
   * Careful: before a step, at a commit. `records`: so many there are, 0 for a step without. Returns how many it takes in. Throws
   * `unavailable` when another is at it.
   */
  async beginStep(at: string, records: number): Promise<number> {
    if (this.occupied)
      throw new MillraceError("unavailable", `another environment narrows down what kills in ${this.what} at ${at}: ring again`);
    if (at !== this.at) {
      this.at = at;
      this.suspect = undefined;
      this.killers = [];
    }
    const { suspect: before } = this;
    const { units } = this.turn.task;
    this.begun = true;
    this.suspected = Math.min(records, this.rest > 0 ? this.rest : (before?.records ?? records));
    this.records = before !== undefined && before.units > 0 ? Math.min(1, records) : Math.ceil(this.suspected / 2);
    this.rest = 0;
    units.guarded = true;
    units.watch(this.records > 1 ? Infinity : 0, this.killers);
    if (this.records > 1) await this.announce({ records: this.records, safe: 0, units: 0, name: "", alone: 0 });
    return this.records;
  }

  /** Careful: a unit waits; lets it begin, and more after those that have passed, and says so before. */
  async allowMore(): Promise<void> {
    const { begun, held = "" } = this.turn.task.units;
    const { suspect: before } = this;
    const safe = before?.safe ?? 0;
    const units = begun < safe ? safe - begun : Math.max(1, begun - safe);
    const again = before?.units === 1 && before.safe === begun && before.name === held;
    const alone = units > 1 ? 0 : 1 + (again ? before.alone : 0);
    await this.announce({ records: this.records, safe: begun, units, name: held, alone });
    this.turn.task.units.allow(begun + units);
  }

  /** Careful: the step is committed. When it was the suspect, and nothing is left of it, the rest need not be careful. */
  passed(): void {
    this.rest = this.suspected - this.records;
    if (this.suspect !== undefined && this.rest === 0) this.careful = false;
  }

  /** An entry is written: void what was posted before it. */
  async committed(): Promise<void> {
    if (this.stays) {
      this.deaths = 0;
      this.suspect = undefined;
      await this.takeBack();
    }
    this.posted = false;
  }

  /** The environment lives, whatever came of its attempt. */
  async takeBack(): Promise<void> {
    if (this.posted) await this.post(this.suspect, false);
    this.posted = false;
  }

  private async announce(suspect: Suspect): Promise<void> {
    if ((await this.post(suspect, true)) === "superseded")
      throw new LostRace(`another environment attempts ${this.what} at ${this.at}`);
  }

  private async post(suspect: Suspect | undefined, works: boolean): Promise<"posted" | "superseded"> {
    const { at, deaths, killers, turn } = this;
    const worker = works ? workerOf(turn) : undefined;
    const bytes = encodeValue({ at, deaths, worker, suspect, killers } satisfies Attempts);
    const message: Message = { name: attemptMessage(this.what), version: ++this.version, bytes };
    // What may have been posted is to be taken back.
    this.posted = true;
    const result = await turn.journal.post(turn.task.plan.task, message);
    this.posted = result === "posted";
    return result;
  }
}

function workerOf({ by, bell, clock, options }: Turn): Worker {
  return { by, bell: onlyBell(bell), until: clock.now() + Math.min(clock.remainingMs(), options.leaseMs) };
}

/** The name of a doorbell that is not rung again before it is answered, or whoever heard it is gone. */
function onlyBell(bell: AddressedBell): string | undefined {
  if (bell.kind === "poke") return bell.oneAtATime === true ? "poke" : undefined;
  if (!isMappingsBatch(bell)) return undefined;
  return bell.kind === "records" ? `${bell.source} ${bell.shard}` : "frames";
}

function mayLive({ bell, until }: Worker, turn: Turn): boolean {
  return (bell === undefined || bell !== onlyBell(turn.bell)) && turn.clock.now() < until;
}

/** What an attempt says to the next: that its environment has died, unless it is this one, which lives. */
function afterwards(found: Attempts, { by, options }: Turn): Attempts {
  const { worker, suspect, deaths } = found;
  if (worker === undefined) return condemn(found, options);
  if (worker.by !== by) return condemn({ ...found, deaths: deaths + 1 }, options);
  return condemn({ ...found, suspect: suspect && { ...suspect, alone: Math.max(0, suspect.alone - 1) } }, options);
}

/** Adds to the units that are known to kill the one that has now killed alone often enough. */
function condemn(found: Attempts, { aloneMax }: AttemptOptions): Attempts {
  const { suspect, killers, deaths } = found;
  if (suspect === undefined || suspect.units !== 1 || suspect.alone < aloneMax) return found;
  const { safe: n, name } = suspect;
  return { ...found, killers: [...killers.filter((known) => known.n !== n), { n, name, times: deaths }] };
}
