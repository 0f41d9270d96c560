/** A clock by which every turn takes 20 ms, so that checkpoints come after as many turns on every machine, busy or not. */
import type { Clock } from "../../runtime/ports/clock.ts";

export const turnMs = 20;

export class TurnClock implements Clock {
  private time = Date.UTC(2026, 0, 1);

  now(): number {
    return this.time;
  }

  advance(): void {
    this.time += turnMs;
  }

  remainingMs(): number {
    return Infinity;
  }

  /** The runner waits only when nothing is left to do. */
  async sleep(ms: number): Promise<void> {
    this.time += Math.max(1, ms);
  }
}
