/**
 * Which coordinator works: one at a time, normally. Correctness does not depend on it, whatever clocks say: two that work at once undo
 * nothing of each other.
 *
 * A lease is an entry of a ring of its own, so that taking it is one conditional write, and so is prolonging it: whoever was late with that
 * finds that another has it. It lasts until the time that stands in it. One that would last longer than it was taken for is of a clock
 * that was wrong, and counts as over.
 */
import { type AttemptId, id, type Seq, type TaskId } from "../base/ids.ts";
import { decodeValue, encodeValue } from "../base/message-pack.ts";
import * as is from "../base/shape.ts";
import type { Clock } from "../ports/clock.ts";
import type { Journal } from "../ports/journal.ts";

interface Entry {
  readonly by: string;
  /** Epoch ms; 0: given back. */
  readonly until: number;
  /** For how long it was taken. */
  readonly forMs: number;
}

const entryShape = is.object({ by: is.text, until: is.time, forMs: is.time });

/** Throws `corrupt`. */
export function decodeLease(bytes: Uint8Array): Entry {
  const entry = decodeValue(bytes);
  is.checkShape("a lease", entry, entryShape);
  return entry as Entry;
}

/** By so much clocks may differ, ms. */
const skewMsMax = 5_000;

/** A lease that is held. */
export interface Lease {
  /** Has it last for so long from now on. False: its time was over, and another has taken it. */
  prolong(forMs: number): Promise<boolean>;
  /** Lets the next one in before the time is over. Whatever fails here, the lease ends by itself. */
  release(): Promise<void>;
}

/**
 * Takes the lease of `ring` for `forMs`, unless another holds it: then undefined. `by` names the caller, once per call. `takeOver`: from who
 * holds it, too, since nobody knows whether he lives, and somebody waits.
 */
export async function takeLease(
  { journal, clock }: { readonly journal: Journal; readonly clock: Clock },
  ring: TaskId,
  by: string,
  forMs: number,
  takeOver = false,
): Promise<Lease | undefined> {
  const { entries } = await journal.tail(ring, "head");
  const head = entries.at(-1);
  const held = head && decodeLease(head.bytes);
  const now = clock.now();
  if (!takeOver && held !== undefined && held.until > now && held.until <= now + held.forMs + skewMsMax) return undefined;
  let seq = head?.seq ?? 0;
  /** Of one that failed nobody knows whether it was written: the next takes its place, so that no entry is ever missing. */
  const write = async (entry: Entry) => {
    const isWritten = await writeEntry(journal, ring, seq + 1, entry);
    if (isWritten) seq++;
    return isWritten;
  };
  if (!(await write({ by, until: now + forMs, forMs }))) return undefined;
  return {
    prolong: (longerMs) => write({ by, until: clock.now() + longerMs, forMs: longerMs }),
    release: async () => {
      await write({ by, until: 0, forMs: 0 }).catch(() => undefined);
    },
  };
}

async function writeEntry(journal: Journal, ring: TaskId, seq: Seq, entry: Entry): Promise<boolean> {
  const attempt = id<AttemptId>(`${entry.by}.${seq}`);
  const written = await journal.write(ring, { seq, attempt, bytes: encodeValue(entry) });
  return written.outcome === "written" || (written.by === attempt && written.seq === seq);
}
