/**
 * The rules of DESIGN §9 that can be switched off, each alone, so that the simulation can show that it would notice. In production
 * all are on: nothing but tests of the tests passes anything else.
 */
export type Safeguard =
  | "R2" // effects of n are carried out after n is written
  | "R3" // effects of n are done before n + 1 is written
  | "R4" // a frame is applied at most once
  | "R5" // effects that nobody saw finish are repeated
  | "R5.shards" // with several shards there is no proof that a head's effects are done
  | "R6" // objects have names that no other attempt uses
  | "R9" // code stops at a head that newer code has written
  | "L1" // the rings of the old generation are sealed
  | "L2" // a newer frame makes the receiver look again, instead of being dropped
  | "L3" // records between the position and the batch are read first
  | "L4" // a head of another deployment proves nothing of its effects
  | "L5" // versions of outside rows have all their parts
  | "L6" // garbage collection lists before it reads the roots
  | "L7" // each key group in memory carries its own version
  | "L8" // alignment waits for exactly the live channels; children wait for their parents
  | "L9" // a higher barrier abandons a lower alignment
  | "L10" // completing and giving up a checkpoint are one conditional write
  | "L11" // a task that ends takes a base
  | "L12.now" // a task's time never goes back, whatever the clock of its environment says
  | "L13" // a shard is idle only when its stream says that nothing is behind
  | "L14" // environments that died are counted, and what killed them is narrowed down
  | "L15" // no frame is longer than a record of a stream may be
  | "L15.held" // a checkpoint for which too much is held is declined
  | "L16.shard" // where a frame went is held against where it should go
  | "hold" // frames behind a barrier are held
  | "rest"; // behind the barrier of a stop nothing happens by the clock

export interface Safeguards {
  holds(rule: Safeguard): boolean;
}

/** All rules are on. */
export const allSafeguards: Safeguards = { holds: () => true };

/** All but one. */
export function without(rule: Safeguard): Safeguards {
  return { holds: (asked) => asked !== rule };
}
