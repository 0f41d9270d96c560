/** Dead letters of the open commit: what failed, where it came from, and its bytes as they came. */
import type { Effect } from "../state/commit.ts";
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
      const { key, at, domain } = origin;
      const bytes = encodeRefused({ timer: { operator: origin.operator, key, at, domain } });
      this.letters.push({ ...letter, shard: `timer of ${origin.operator}`, position: String(at), bytes });
    } else {
      const { shard, source } = origin;
      const sent = origin.sent?.();
      const header = origin.header?.();
      const came = { ...(source !== undefined && { source }), ...(header !== undefined && { header }), ...(sent && { sent }) };
      this.letters.push({ ...letter, shard, position: origin.position(), bytes: new Uint8Array(origin.bytes()), ...came });
    }
  }

  /** A row that a sink of the operator cannot write. */
  addRow(value: unknown, operator: string, reason: string): void {
    const bytes = () => encodeRefused(value);
    this.add({ kind: "record", operator: () => operator, shard: "", position: () => "", bytes }, operator, reason);
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
