/** How long processing stood still where a shard followed others, as its mapping and the commits of its readers say. */
import type { MappingEvent } from "../../../emulator/event-source-mapping/mapping-events.ts";
import type { Look } from "../status-watch.ts";

export interface Standstill {
  readonly change: "split" | "merge";
  readonly shard: string;
  /** From its first delivery to the first commit that has something of it: what waiting for its parents took. Undefined: nothing was done. */
  readonly waitedMs: number | undefined;
  /** Deliveries meanwhile that the function did not take, and those for which there was no environment. */
  readonly refused: number;
  readonly throttled: number;
  /** From the last commit that has something new of a parent, or its end, to the first of the shard; 0 where they overlap. */
  readonly pauseMs: number | undefined;
}

interface Times {
  position?: string;
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
    if (event.kind === "polled" && event.records > 0) this.#of(event.shardId).deliveredAt ??= Date.now();
    if (event.kind !== "invoked" || event.outcome === "success") return;
    const times = this.#of(event.shardId);
    if (times.doneAt !== undefined) return;
    if (event.outcome === "throttled") times.throttled++;
    else times.refused++;
  }

  look({ at, status }: Look): void {
    for (const { shard, position } of status.sources) {
      const times = this.#of(shard);
      if (position === "start" || position === times.position) continue;
      times.position = position;
      times.doneAt ??= at;
      times.lastAt = at;
    }
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
        // A task that reads on by itself may be there before its mapping.
        waitedMs: doneAt === undefined ? undefined : Math.max(0, doneAt - (deliveredAt ?? doneAt)),
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
