/**
 * Runs a vector by its area's module, `run/<area>.ts`, which exports `run: RunVector`. An area without a module, a driver that
 * its module does not know and anything thrown count as failures.
 */
import { existsSync } from "node:fs";
import { messageOf } from "../../runtime/base/errors.ts";
import type { Area, Failure, RunVector, Vector } from "./vector.ts";

/** What came out of one vector; undefined: it passed. */
export async function runVector(vector: Vector): Promise<Failure | undefined> {
  try {
    const run = await runnerOf(vector.area);
    if (run === undefined) return { expected: vector.expected, actual: `no runner for the area ${vector.area} yet` };
    return await run(vector);
  } catch (error) {
    return { expected: vector.expected, actual: error instanceof Error ? `${error.name}: ${messageOf(error)}` : error };
  }
}

/** The failure of a vector whose driver the area's module does not know. */
export function noDriver(vector: Vector): Failure {
  return { expected: vector.expected, actual: `no driver ${vector.config.driver} for the area ${vector.area} yet` };
}

async function runnerOf(area: Area): Promise<RunVector | undefined> {
  const url = new URL(`./run/${area}.ts`, import.meta.url);
  return existsSync(url) ? ((await import(url.href)) as { run: RunVector }).run : undefined;
}
