/** The runtime half of all sinks of a job: each operator's target, whatever its kind, and where dead letters go. */
import { MillraceError } from "../base/errors.ts";
import type { OperatorUid } from "../base/ids.ts";
import type { DeadLetterBatch, Restored, SinkDriver, SinkEffect } from "../ports/sink-driver.ts";
import type { SinkTarget } from "./sink-target.ts";

export interface DeadLetterWriter {
  /** As `SinkDriver.deadLetters`. */
  write(batch: DeadLetterBatch): Promise<void>;
  /** As `SinkDriver.quarantineLetters`. */
  quarantine?(restored: Restored): Promise<void>;
  /** As `SinkTarget.check`. */
  check?(): Promise<void>;
}

export class SinkTargets implements SinkDriver {
  readonly #targets: ReadonlyMap<OperatorUid, SinkTarget>;
  readonly #deadLetters: DeadLetterWriter;

  constructor(targets: ReadonlyMap<OperatorUid, SinkTarget>, deadLetters: DeadLetterWriter) {
    this.#targets = targets;
    this.#deadLetters = deadLetters;
  }

  async carryOut(effect: SinkEffect): Promise<void> {
    await this.#target(effect.operator).carryOut(effect);
  }

  async deadLetters(batch: DeadLetterBatch): Promise<void> {
    await this.#deadLetters.write(batch);
  }

  async quarantine(operator: OperatorUid, restored: Restored): Promise<void> {
    await this.#target(operator).quarantine(restored);
  }

  async quarantineLetters(restored: Restored): Promise<void> {
    await this.#deadLetters.quarantine?.(restored);
  }

  /** Whether all that is written to can be: throws the first `invalid`, after all were asked. For the start of a job. */
  async check(): Promise<void> {
    await this.#deadLetters.check?.();
    await this.#all((target) => target.check?.());
  }

  /** Closes what sinks hold open. Throws the first failure, after all were asked. */
  async close(): Promise<void> {
    await this.#all((target) => target.close?.());
  }

  async #all(work: (target: SinkTarget) => Promise<void> | undefined): Promise<void> {
    const done = await Promise.allSettled([...new Set(this.#targets.values())].map(work));
    const failed = done.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  #target(operator: OperatorUid): SinkTarget {
    const target = this.#targets.get(operator);
    if (target === undefined) throw new MillraceError("invalid", `the job has no sink of this name any more: ${operator}`);
    return target;
  }
}

/** Throws `invalid` when two sinks would give what they write the same names. `takenBy` keeps who has which. */
export function claimNames(takenBy: Map<string, OperatorUid>, names: string, operator: OperatorUid): void {
  const other = takenBy.get(names);
  if (other !== undefined) {
    const message = `two sinks would give their files the same names: give one a prefix or another path: ${other}, ${operator}`;
    throw new MillraceError("invalid", message, { context: { operator } });
  }
  takenBy.set(names, operator);
}
