/** The last events of a run, to be shown when it fails, and a hash over all of them, to show that a seed replays. */

const keptFaults = 40;

export class Trace {
  private readonly keptEvents: number;
  private readonly events: string[] = [];
  /** The first faults that happened. */
  readonly faults: string[] = [];
  private digest = 0x811c9dc5;

  constructor(keptEvents = 80) {
    this.keptEvents = keptEvents;
  }

  /** `fault`: its name and number, where one happened. */
  add(step: number, who: string, what: string, fault?: string): void {
    const event = fault === undefined ? `${step} ${who} ${what}` : `${step} ${who} ${what} (${fault})`;
    if (fault !== undefined && this.faults.length < keptFaults) this.faults.push(event);
    for (let n = 0; n < event.length; n++) this.digest = Math.imul(this.digest ^ event.charCodeAt(n), 0x01000193);
    this.events.push(event);
    if (this.events.length > 2 * this.keptEvents) this.events.splice(0, this.keptEvents);
  }

  get hash(): string {
    return (this.digest >>> 0).toString(16).padStart(8, "0");
  }

  get last(): readonly string[] {
    return this.events.slice(-this.keptEvents);
  }
}
