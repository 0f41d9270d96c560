/**
 * The sinks of the harness: what the job writes stays in memory as values, whatever the sinks' own formats are.
 *
 * Payloads go through commits and effects as any sink's do, so values come back as state would: class instances as plain objects.
 * K1 An effect that is repeated is taken in once.
 */
import type { ChangeKind, SinkWriter } from "../api/connector.ts";
import { decodeValue, encodeValue } from "../base/message-pack.ts";
import type { DeadLetter, DeadLetterBatch, SinkDriver, SinkEffect } from "../ports/sink-driver.ts";

/** A row as a sink was given it. */
export interface WrittenRow<T = unknown> {
  readonly value: T;
  /** Epoch ms; undefined without event time. */
  readonly timestamp: number | undefined;
  /** "+I" of streams that only append. */
  readonly change: ChangeKind;
}

/** The writer that takes the place of a sink's own. */
export class HarnessSinkWriter implements SinkWriter<unknown> {
  #rows: Uint8Array[] = [];

  /** Throws `invalid` for a value that is not plain data. */
  add(value: unknown, timestamp: number | undefined, change: ChangeKind): void {
    this.#rows.push(encodeValue({ value, timestamp, change }));
  }

  flush(): readonly Uint8Array[] {
    const rows = this.#rows;
    this.#rows = [];
    return rows;
  }

  state(): undefined {
    return undefined;
  }

  restore(): void {}
}

export class HarnessSinks implements SinkDriver {
  readonly letters: DeadLetter[] = [];
  readonly #rows = new Map<string, WrittenRow[]>();
  readonly #seen = new Set<string>();

  /** Rows in the order of their commits. */
  rows(sink: string): readonly WrittenRow[] {
    return this.#rows.get(sink) ?? [];
  }

  async carryOut({ operator, task, generation, seq, n, payload }: SinkEffect): Promise<void> {
    if (!this.#isNew("row", operator, task, generation, seq, n)) return;
    const row = decodeValue(payload) as WrittenRow;
    const rows = this.#rows.get(operator);
    if (rows === undefined) this.#rows.set(operator, [row]);
    else rows.push(row);
  }

  async deadLetters({ task, generation, seq, letters }: DeadLetterBatch): Promise<void> {
    if (this.#isNew("letters", task, generation, seq)) this.letters.push(...letters);
  }

  #isNew(...parts: readonly (string | number)[]): boolean {
    const name = parts.join(" ");
    if (this.#seen.has(name)) return false;
    this.#seen.add(name);
    return true;
  }

  /** A restored harness begins with empty sinks: there is nothing to take back. */
  async quarantine(): Promise<void> {}
}
