import { readFileSync } from "node:fs";
import { maxWatermark, minWatermark } from "../../runtime/time/watermark.ts";

export interface Vector {
  readonly id: string;
  readonly config: any;
  readonly input: readonly any[];
  readonly expected: any;
}

/** The vectors of one driver in test/vectors/<file>.json; throws when there are none, so that none is passed over in silence. */
export function vectorsOf(file: "watermarks" | "windows", driver: string): Vector[] {
  const { vectors } = JSON.parse(readFileSync(new URL(`../vectors/data/${file}.json`, import.meta.url), "utf8")) as {
    vectors: Vector[];
  };
  const found = vectors.filter((vector) => vector.config.driver === driver);
  if (found.length === 0) throw new Error(`no vectors of driver ${driver} in ${file}.json`);
  return found;
}

/** A time of a vector: a number, "MIN" or "MAX". */
export function timeOf(time: number | "MIN" | "MAX"): number {
  return time === "MIN" ? minWatermark : time === "MAX" ? maxWatermark : time;
}
