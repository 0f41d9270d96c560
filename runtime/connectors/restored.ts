/** What a restore takes back of what sinks have published. */
import type { Restored } from "../ports/sink-driver.ts";

/** The commit that published something. */
export interface Published {
  readonly generation: number;
  readonly task: string;
  readonly seq: number;
}

/**
 * Published after the restored commits. What generations before `from` left, earlier restores have judged. `nameOf`: how tasks are called
 * where it was published.
 */
export function isBeyond(
  { generation, task, seq }: Published,
  { from, lastSeq }: Restored,
  nameOf: (task: string) => string = (known) => known,
): boolean {
  if (generation !== from) return generation > from;
  for (const [known, last] of lastSeq) if (nameOf(known) === task) return seq > last;
  return true;
}
