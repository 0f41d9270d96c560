/**
 * What runs of a job in the cloud have in common: a directory for their time, a clock for what is told, what went wrong on the way, and
 * waiting until results are what they must be.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { CloudEvent, CloudOptions } from "../../emulator/cloud/index.ts";
import { compareResults, describeDifferences, type Difference } from "./compare-results.ts";
import { type JobInCloud, Overdue } from "./job-in-cloud.ts";
import type { Results } from "./scenario.ts";

/** What is still missing is told so often. */
const tellEveryMs = 20_000;
/** So many of the problems are told at the end. */
const problemsTold = 10;

/** Runs in a directory of its own, which is gone afterwards. */
export async function inScratch<T>(name: string, body: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), `millrace-${name}-`));
  try {
    return await body(directory);
  } finally {
    // Processes that were killed may be writing their last.
    await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

/** How mappings and environments of a cloud misbehave by themselves, from a seed. */
export function unrulyCloud(seed: number, chance: number, onEvent: (event: CloudEvent) => void): CloudOptions {
  return {
    environments: { seed, coldStartChance: chance / 2, recycleChance: chance / 2, zombieMsMax: 3_000 },
    mappings: {
      seed,
      faults: { duplicateChance: chance, goBackChance: chance },
      timings: { backOffMs: 100, backOffMsMax: 1_000 },
    },
    asyncRetries: { retryDelaysMs: [1_000, 2_000] },
    onEvent,
  };
}

export class Trial {
  readonly startedAt = Date.now();
  readonly #print: (line: string) => void;
  readonly #problems = new Map<string, number>();

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  say(line: string): void {
    this.#print(`${((Date.now() - this.startedAt) / 1_000).toFixed(1).padStart(6)} s  ${line}`);
  }

  /** Keeps what a function says that went wrong. */
  take(event: CloudEvent): void {
    if (event.kind !== "log" || !/"level":"ERROR"|Runtime\.|Error/.test(event.line.text)) return;
    const line = `${event.line.functionName}: ${event.line.text.slice(0, 600)}`;
    this.#problems.set(line, (this.#problems.get(line) ?? 0) + 1);
  }

  /** Until the results are these, whatever was read of them meanwhile. Throws `Overdue`. */
  async drain(
    job: JobInCloud<any>,
    what: string,
    expected: Results,
    read: () => Promise<Results> = () => job.results(),
    repeatable?: ReadonlySet<string>,
  ): Promise<void> {
    let toldAt = Date.now();
    let differences: readonly Difference[] = [];
    const isDrained = async () => {
      differences = compareResults(await read(), expected, repeatable);
      if (differences.length === 0) return true;
      if (Date.now() - toldAt > tellEveryMs) {
        toldAt = Date.now();
        for (const line of describeDifferences(differences)) this.say(`waiting for ${what}: ${line}`);
      }
      return undefined;
    };
    try {
      await job.until(what, isDrained);
    } catch (error) {
      if (!(error instanceof Overdue)) throw error;
      throw new Overdue([error.message, ...describeDifferences(differences)].join("\n"));
    }
  }

  /** Throws `Overdue` where results are not those that they were: what comes too often comes late. */
  check(what: string, found: Results, expected: Results, repeatable?: ReadonlySet<string>): void {
    const differences = compareResults(found, expected, repeatable);
    if (differences.length > 0)
      throw new Overdue([`what was right is not any more: ${what}`, ...describeDifferences(differences)].join("\n"));
  }

  /** How the job stands, and what went wrong last. */
  async explain(job: JobInCloud<any>): Promise<readonly string[]> {
    const { phase, generation, pending, completed, deployment } = (await job.record()) ?? {};
    const state = JSON.stringify({ phase, generation, pending, completed, deployment });
    return [`the job record: ${state}`, ...[...this.#problems].slice(-problemsTold).map(([line, times]) => `${times} × ${line}`)];
  }
}

/** For so long nothing may be added to results that are right. */
export function settled(): Promise<void> {
  return sleep(6_000);
}
