/** How long processing stood still where a shard followed others, as its mapping saw it. */
import type { MappingEvent } from "../../../emulator/event-source-mapping/mapping-events.ts";

export interface Standstill {
  readonly change: "split" | "merge";
  readonly shard: string;
  /** From its first delivery to the first that was done: what waiting for its parents took. Undefined: nothing was done. */
  readonly waitedMs: number | undefined;
  /** Deliveries meanwhile that the function did not take, and those for which there was no environment. */
  readonly refused: number;
  readonly throttled: number;
  /** From the last that was done of a parent, or its end, to the first that was done of the shard; 0 where they overlap. */
  readonly pauseMs: number | undefined;
}

interface Times {
  deliveredAt?: number;
  doneAt?: number;
  lastAt?: number;
  refused: number;
  throttled: number;
}

export class Standstills {
  readonly #times = new Map<string, Times>();
  readonly #expected: { readonly change: "split" | "merge"; readonly shard: string; readonly parents: readonly string[] }[] = [];

  expect(change: "split" | "merge", shard: string, parents: readonly string[]): void {
    this.#expected.push({ change, shard, parents });
  }

  take(event: MappingEvent): void {
    const now = Date.now();
    if (event.kind === "polled" && event.records > 0) this.#of(event.shardId).deliveredAt ??= now;
    if (event.kind === "checkpoint") {
      const times = this.#of(event.shardId);
      times.doneAt ??= now;
      times.lastAt = now;
    }
    if (event.kind !== "invoked" || event.outcome === "success") return;
    const times = this.#of(event.shardId);
    if (times.doneAt !== undefined) return;
    if (event.outcome === "throttled") times.throttled++;
    else times.refused++;
  }

  report(): readonly Standstill[] {
    return this.#expected.map(({ change, shard, parents }) => {
      const { deliveredAt, doneAt, refused, throttled } = this.#of(shard);
      const before = Math.max(...parents.map((parent) => this.#of(parent).lastAt ?? -Infinity));
      return {
        change,
        shard,
        refused,
        throttled,
        waitedMs: deliveredAt === undefined || doneAt === undefined ? undefined : doneAt - deliveredAt,
        pauseMs: doneAt === undefined ? undefined : Math.max(0, doneAt - before),
      };
    });
  }

  #of(shard: string): Times {
    const known = this.#times.get(shard) ?? { refused: 0, throttled: 0 };
    this.#times.set(shard, known);
    return known;
  }
}
