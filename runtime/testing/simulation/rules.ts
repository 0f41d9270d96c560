/** The rules that can be switched off to show that the simulation notices, and where each stands. */
import type { Safeguard } from "../../task/safeguards.ts";
import { allSafeguards, type Safeguards, without } from "../../task/safeguards.ts";
import type { VersionPart } from "./sink-world.ts";

/** Rules of the engine, and of the parts it relies on: the ring, the pages, the tables outside. */
export type Rule = Safeguard | "R1" | "R8" | "pages" | "L5.n" | "L5.generation" | "L16";

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
  "L5",
  "L5.n",
  "L5.generation",
  "L6",
  "L7",
  "L8",
  "L9",
  "L10",
  "L11",
  "L14",
  "L16",
  "hold",
  "pages",
];

const versionParts: Partial<Record<Rule, VersionPart>> = { R8: "check", "L5.n": "n", "L5.generation": "generation" };

/** What is left out of the versions of outside rows. */
export function versionPartOf(off: Rule | undefined): VersionPart | undefined {
  return off && versionParts[off];
}

/** The engine's safeguards with one rule off. */
export function safeguardsWithout(off: Rule | undefined): Safeguards {
  if (off === undefined || off === "R1" || off === "pages" || off === "L16" || off in versionParts) return allSafeguards;
  return without(off as Safeguard);
}
