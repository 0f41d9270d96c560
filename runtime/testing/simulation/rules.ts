/** The rules that can be switched off to show that the simulation notices, and where each stands. */
import type { Safeguard } from "../../task/safeguards.ts";
import { allSafeguards, type Safeguards, without } from "../../task/safeguards.ts";
import type { VersionPart } from "./sink-world.ts";

/** Rules of the engine, and of the parts it relies on: the ring, the pages, the tables outside. */
export type Rule = Safeguard | "R1" | "R8" | "pages" | "L5.n" | "L5.generation" | "L12" | "L16";

export const rules: readonly Rule[] = [
  "R1",
  "R2",
  "R3",
  "R4",
  "R5",
  "R5.shards",
  "R6",
  "R8",
  "R9",
  "L1",
  "L2",
  "L3",
  "L4",
  "L5",
  "L5.n",
  "L5.generation",
  "L6",
  "L7",
  "L8",
  "L9",
  "L10",
  "L11",
  "L12",
  "L12.now",
  "L13",
  "L14",
  "L15",
  "L15.held",
  "L16",
  "L16.shard",
  "hold",
  "rest",
  "pages",
];

const versionParts: Partial<Record<Rule, VersionPart>> = { R8: "check", "L5.n": "n", "L5.generation": "generation" };

/** What is left out of the versions of outside rows. */
export function versionPartOf(off: Rule | undefined): VersionPart | undefined {
  return off && versionParts[off];
}

/** Rules of the parts that the engine relies on: they are switched off there. */
const outsideTheEngine: ReadonlySet<Rule> = new Set(["R1", "pages", "L12", "L16"]);

/** The engine's safeguards with one rule off. */
export function safeguardsWithout(off: Rule | undefined): Safeguards {
  if (off === undefined || outsideTheEngine.has(off) || off in versionParts) return allSafeguards;
  return without(off as Safeguard);
}
