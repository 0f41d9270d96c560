/**
 * Counts the environments that began on a task's next commit and were never heard of again, and narrows down what they died of (L14):
 * out of memory, out of time, an exit. No exception tells of it, so whoever comes next must know what was being done.
 *
 * It stands in a message of the task's mailbox: at which head, how many died, what the last one was doing. Nothing is posted by an
 * environment that has committed on the task before, unless others died at the head it stands at: a commit makes the message void.
 *
 * - The first two (`plain`) take the batch as it comes.
 * - From the third on they are *careful*: each step of a turn ends in a commit of its own, and is announced before it runs. A step that
 *   takes in several records takes half of those that are suspected; what passes is committed and no longer suspected.
 * - A step of one record (which may be a frame of many elements, and may fire many timers) announces its units before they begin, first
 *   one by one, then more and more at once. So does a step without records: timers that are due, the end of a shard.
 * - A unit that has killed alone as often as the options say goes to the dead letters by its name, and the rest goes on.
 *
 * A1 An environment that lives takes its attempt back: only deaths are counted, not what failed with an error.
 * A2 Whoever finds a newer attempt than its own starts over.
 * A3 The units of a step come in the same order at every attempt: it begins at a commit, and takes the same records first.
 */
import type { Seq } from "../base/ids.ts";
import { decodeValue, encodeValue } from "../base/message-pack.ts";
import type { Journal, Message } from "../ports/journal.ts";
import { attemptMessage } from "../snapshots/names.ts";
import type { Task } from "../task/task.ts";
import type { Killer } from "../task/units.ts";
import { LostRace } from "./lost-race.ts";

export interface AttemptOptions {
  /** The number of the attempt that is the first to be careful. */
  readonly carefulFrom: number;
  /** So many environments must die of one unit alone before it goes to the dead letters. */
  readonly aloneMax: number;
}

export const defaultAttempts: AttemptOptions = { carefulFrom: 3, aloneMax: 2 };

/** What an attempt announced before it went on. */
interface Suspect {
  readonly step: string;
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

interface Attempts {
  readonly head: Seq;
  /** So many have died, without the one that posts this. */
  readonly deaths: number;
  /** The environment that is at work; undefined: it lives and has taken its attempt back. */
  readonly by: string | undefined;
  readonly suspect: Suspect | undefined;
  readonly killers: readonly (Killer & { readonly step: string })[];
}

/** The step that runs. */
interface Step {
  readonly name: string;
  /** So many records from its beginning on are suspected, and so many of them it takes in. */
  readonly suspected: number;
  readonly records: number;
  /** What was announced of it by the one that died. */
  readonly before: Suspect | undefined;
}

/** Posts per head, at most: versions of one head lie above those of the one before. */
const postsMax = 2 ** 20;

export class AttemptLog {
  careful: boolean;
  private readonly task: Task;
  private readonly journal: Journal;
  private readonly by: string;
  private readonly deaths: number;
  private head: Seq;
  private version: number;
  private posted = false;
  private suspect: Suspect | undefined;
  private killers: Attempts["killers"];
  private step: Step = { name: "", suspected: 0, records: 0, before: undefined };
  /** Records behind the last step that are suspected still. */
  private rest = 0;

  private constructor(task: Task, journal: Journal, by: string, found: Attempts, version: number, options: AttemptOptions) {
    this.task = task;
    this.journal = journal;
    this.by = by;
    this.deaths = found.deaths;
    this.head = found.head;
    this.version = version;
    this.careful = found.deaths >= options.carefulFrom - 1;
    this.suspect = found.suspect;
    this.killers = condemn(found, options);
  }

  /**
   * Undefined when nothing is to be counted: `proven` says that this environment has committed on the task before, and nobody has
   * attempted anything at the head at which it stands.
   */
  static open(
    task: Task,
    messages: readonly Message[],
    journal: Journal,
    by: string,
    proven: boolean,
    options: AttemptOptions,
  ): AttemptLog | undefined {
    const { head } = task;
    const message = messages.find(({ name }) => name === attemptMessage);
    const last = message && (decodeValue(message.bytes) as Attempts);
    if (message !== undefined && last?.head === head)
      return new AttemptLog(task, journal, by, afterwards(last, by), message.version, options);
    if (proven) return undefined;
    const none = { head, deaths: 0, by: undefined, suspect: undefined, killers: [] };
    return new AttemptLog(task, journal, by, none, head * postsMax, options);
  }

  /** Before something new is taken in: says, once, that this environment is at it. */
  async begin(): Promise<void> {
    if (!this.posted) await this.post(this.suspect, this.by);
  }

  /** Careful: before a step. `records`: so many there are, 0 for a step without. Returns how many it takes in. */
  async beginStep(name: string, records: number): Promise<number> {
    const before = this.suspect?.step === name ? this.suspect : undefined;
    const suspected = Math.min(records, this.rest > 0 ? this.rest : (before?.records ?? records));
    const taken = before !== undefined && before.units > 0 ? Math.min(1, records) : Math.ceil(suspected / 2);
    this.rest = 0;
    this.step = { name, suspected, records: taken, before };
    this.task.units.watch(
      taken > 1 ? Infinity : 0,
      this.killers.filter(({ step }) => step === name),
    );
    if (taken > 1) await this.post({ step: name, records: taken, safe: 0, units: 0, name: "", alone: 0 }, this.by, true);
    return taken;
  }

  /** Careful: a unit waits; lets it begin, and more after those that have passed, and says so before. */
  async allowMore(): Promise<void> {
    const { begun, held = "" } = this.task.units;
    const { before } = this.step;
    const safe = before?.safe ?? 0;
    const units = begun < safe ? safe - begun : Math.max(1, begun - safe);
    const again = before?.units === 1 && before.safe === begun && before.name === held;
    const alone = units > 1 ? 0 : 1 + (again ? before.alone : 0);
    await this.post({ step: this.step.name, records: this.step.records, safe: begun, units, name: held, alone }, this.by, true);
    this.task.units.allow(begun + units);
  }

  /** An entry is written: it makes what was posted before it void. */
  committed(head: Seq): void {
    this.head = head;
    this.version = head * postsMax;
    this.posted = false;
  }

  /** Careful: the step is committed. When it was the suspect, and nothing is left of it, the rest need not be careful. */
  passed(): void {
    const { suspected, records, before } = this.step;
    this.rest = suspected - records;
    if (before !== undefined && this.rest === 0) this.careful = false;
  }

  /** The environment lives, whatever came of its attempt: takes it back, unless a commit has made it void. */
  async takeBack(): Promise<void> {
    if (this.posted) await this.post(this.suspect, undefined);
  }

  /** Throws `LostRace` when a newer attempt stands there and it matters. */
  private async post(suspect: Suspect | undefined, by: string | undefined, matters = false): Promise<void> {
    const { head, deaths, killers } = this;
    const bytes = encodeValue({ head, deaths, by, suspect, killers } satisfies Attempts);
    this.posted = true;
    const posted = await this.journal.post(this.task.plan.task, { name: attemptMessage, version: ++this.version, bytes });
    if (posted === "superseded" && matters) throw new LostRace(`another environment attempts entry ${head + 1}`);
  }
}

/** What an attempt says to the next: that its environment has died, unless it is this one, which lives. */
function afterwards(last: Attempts, by: string): Attempts {
  const { suspect } = last;
  if (last.by === undefined) return last;
  if (last.by !== by) return { ...last, deaths: last.deaths + 1 };
  return { ...last, suspect: suspect && { ...suspect, alone: Math.max(0, suspect.alone - 1) } };
}

/** The units that are known to kill, with the one that has now killed alone often enough. */
function condemn({ suspect, killers, deaths }: Attempts, { aloneMax }: AttemptOptions): Attempts["killers"] {
  if (suspect === undefined || suspect.units !== 1 || suspect.alone < aloneMax) return killers;
  const { step, safe: n, name } = suspect;
  return [...killers.filter((known) => known.step !== step || known.n !== n), { step, n, name, times: deaths }];
}
