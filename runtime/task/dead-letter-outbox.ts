/** Dead letters of the open commit: what failed, where it came from, and its bytes as they came; and how many there are within a minute. */
import type { GivenBack } from "../api/given-back.ts";
import { messageOf } from "../base/errors.ts";
import type { RefusedRow } from "../operators/sink.ts";
import type { Effect, LetterCount } from "../state/commit.ts";
import { rowBack, timerBack } from "./given-back.ts";
import type { UnitOrigin } from "./units.ts";

type DeadLetterEffect = Extract<Effect, { effect: "deadLetter" }>;

/** So long are dead letters counted together. */
const minuteMs = 60_000;

export class DeadLetterOutbox {
  private letters: DeadLetterEffect[] = [];
  private minute: LetterCount;
  /** How many there were since the job began. */
  total: number;

  constructor(minute: LetterCount | undefined, total: number) {
    this.minute = minute ?? { since: 0, count: 0 };
    this.total = total;
  }

  get length(): number {
    return this.letters.length;
  }

  /** How many were put aside within this minute; undefined: none. */
  get thisMinute(): LetterCount | undefined {
    return this.minute.count > 0 ? this.minute : undefined;
  }

  passTime(now: number): void {
    if (now - this.minute.since >= minuteMs) this.countAnew(now);
  }

  countAnew(now: number): void {
    this.minute = { since: now, count: 0 };
  }

  add(origin: UnitOrigin, operator: string, reason: string): void {
    this.total++;
    this.minute = { ...this.minute, count: this.minute.count + 1 };
    const letter = { effect: "deadLetter", operator, reason } as const;
    if (origin.kind === "timer") {
      const { key, at, domain, namespace } = origin;
      const bytes = encodeRefused({ timer: { operator: origin.operator, key, at, domain } });
      const back = namespace && timerBack(origin.operator, key, { domain, at, namespace });
      this.letters.push({ ...letter, shard: `timer of ${origin.operator}`, position: String(at), bytes, ...(back && { back }) });
    } else {
      const { shard, source } = origin;
      const back = origin.back?.();
      const header = origin.header?.();
      const came = { ...(source !== undefined && { source }), ...(header !== undefined && { header }), ...(back && { back }) };
      this.letters.push({ ...letter, shard, position: origin.position(), bytes: new Uint8Array(origin.bytes()), ...came });
    }
  }

  /** A row, or what a sink made of it, that the sink of the operator cannot write. */
  addRefused(operator: string, { again, timestamp, error }: RefusedRow): void {
    const { what } = again;
    const value = what === "row" ? again.value : again.message;
    const back: GivenBack | undefined =
      what === "row" ? rowBack(operator, again, timestamp) : { what, to: operator, value: again.message };
    const bytes = () => encodeRefused(value);
    const origin = { kind: "record", operator: () => operator, shard: "", position: () => "", bytes, back: () => back } as const;
    this.add(origin, operator, messageOf(error));
  }

  /** Forgets what was added since there were `length`. */
  truncate(length: number): void {
    this.letters.length = length;
  }

  take(): readonly DeadLetterEffect[] {
    const { letters } = this;
    this.letters = [];
    return letters;
  }
}

/** A value as readable as it can be. */
function encodeRefused(value: unknown): Uint8Array {
  try {
    return Buffer.from(JSON.stringify(value, (_key, item) => (typeof item === "bigint" ? String(item) : item)) ?? String(value));
  } catch {
    return Buffer.from(String(value));
  }
}
