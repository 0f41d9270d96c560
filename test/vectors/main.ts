/**
 * `npm run vectors -- DIR [--area windows,watermarks,…]`: runs every vector of DIR; `--area` picks areas.
 *
 * Prints a line per failure, a line with the excluded ones by area where there are any, and last `N passed, M failed`.
 * Exit code 1 when any failed, 2 for wrong arguments or vectors that cannot be read.
 */
import { inspect, parseArgs } from "node:util";
import { MillraceError, messageOf } from "../../runtime/base/errors.ts";
import { readExclusions, selectVectors } from "./exclusions.ts";
import { runVector } from "./run-vector.ts";
import { areas, readVectors, type Area } from "./vector.ts";

const usage = `usage: npm run vectors -- DIR [--area ${areas.join(",")}]`;

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: { area: { type: "string" } } });
  const [directory, ...more] = positionals;
  if (directory === undefined || more.length > 0) throw new MillraceError("invalid", `name one directory of vectors; ${usage}`);
  const wanted = pickAreas(values.area);
  const vectors = readVectors(directory).filter(({ area }) => wanted.includes(area));
  const { run, excluded, refused } = selectVectors(vectors, readExclusions());
  for (const area of refused) console.log(`too many vectors of ${area} would be excluded, so none is`);
  let failed = 0;
  for (const vector of run) {
    const failure = await runVector(vector);
    if (failure === undefined) continue;
    failed++;
    console.log(`${vector.id}: expected ${inLine(failure.expected)}, actual ${inLine(failure.actual)}`);
  }
  if (excluded.size > 0) console.log(`excluded: ${[...excluded].map(([area, count]) => `${area} ${count}`).join(", ")}`);
  console.log(`${run.length - failed} passed, ${failed} failed`);
  return failed > 0 ? 1 : 0;
}

function pickAreas(list: string | undefined): readonly Area[] {
  if (list === undefined) return areas;
  return list.split(",").map((name) => {
    if (!areas.includes(name as Area)) throw new MillraceError("invalid", `no such area: ${name}; ${usage}`);
    return name as Area;
  });
}

function inLine(value: unknown): string {
  const text = inspect(value, { depth: null, breakLength: Infinity, compact: true, maxArrayLength: null, maxStringLength: null });
  return text.replaceAll(/\s*\n\s*/g, " ");
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`error: ${messageOf(error)}`);
  process.exitCode = 2;
}
