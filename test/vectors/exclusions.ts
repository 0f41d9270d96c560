/**
 * What of the vectors has no counterpart in the design: by driver or by feature, never by vector, each with its reason.
 *
 * X1 At most one vector in twenty of an area is excluded. Where the rules would take more, none of that area is excluded: they
 *    all run and count as they turn out.
 */
import { readFileSync } from "node:fs";
import { areas, type Area, type Vector } from "./vector.ts";

/** One exclusion: all vectors of the area with this driver or this feature. */
export interface Exclusion {
  readonly area: Area;
  readonly driver?: string;
  readonly feature?: string;
  readonly reason: string;
}

export const mostExcludedShare = 0.05;

/** The committed exclusions. */
export function readExclusions(): Exclusion[] {
  return JSON.parse(readFileSync(new URL("./excluded.json", import.meta.url), "utf8")) as Exclusion[];
}

export interface Selection {
  readonly run: readonly Vector[];
  /** How many are left out, by area; areas with none are not there. */
  readonly excluded: ReadonlyMap<Area, number>;
  /** Areas of which too many would have been left out. */
  readonly refused: readonly Area[];
}

/** Which vectors run. */
export function selectVectors(vectors: readonly Vector[], exclusions: readonly Exclusion[]): Selection {
  const run: Vector[] = [];
  const excluded = new Map<Area, number>();
  const refused: Area[] = [];
  for (const area of areas) {
    const all = vectors.filter((vector) => vector.area === area);
    const kept = all.filter((vector) => !exclusions.some((exclusion) => excludes(exclusion, vector)));
    const left = all.length - kept.length;
    if (left > mostExcludedShare * all.length) refused.push(area);
    else if (left > 0) excluded.set(area, left);
    run.push(...(refused.includes(area) ? all : kept));
  }
  return { run, excluded, refused };
}

function excludes({ area, driver, feature }: Exclusion, vector: Vector): boolean {
  if (area !== vector.area || (driver ?? feature) === undefined) return false;
  return (
    (driver === undefined || driver === vector.config.driver) && (feature === undefined || vector.features.includes(feature))
  );
}
