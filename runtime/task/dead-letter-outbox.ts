/** Dead letters of the open commit: what failed, where it came from, and its bytes as they came. */
import type { GivenBack } from "../api/given-back.ts";
import type { Effect } from "../state/commit.ts";
import { timerBack } from "./given-back.ts";
import type { UnitOrigin } from "./units.ts";

type DeadLetterEffect = Extract<Effect, { effect: "deadLetter" }>;

export class DeadLetterOutbox {
  private letters: DeadLetterEffect[] = [];

  get length(): number {
    return this.letters.length;
  }

  add(origin: UnitOrigin, operator: string, reason: string): void {
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

  /** A row that a sink of the operator cannot write; `value`: what it was given. */
  addRow(value: unknown, operator: string, reason: string, back: GivenBack | undefined): void {
    const bytes = () => encodeRefused(value);
    const origin = { kind: "record", operator: () => operator, shard: "", position: () => "", bytes, back: () => back } as const;
    this.add(origin, operator, reason);
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
