import type { Restored, SinkEffect } from "../ports/sink-driver.ts";

/** The runtime half of one sink; as `SinkDriver`, for one operator. */
export interface SinkTarget {
  carryOut(effect: SinkEffect): Promise<void>;
  quarantine(restored: Restored): Promise<void>;
  /** Throws `invalid` when what it writes to is not there, is another, or may not be used. */
  check?(): Promise<void>;
  /** Gives up what it holds; nothing is carried out after it. */
  close?(): Promise<void>;
}
