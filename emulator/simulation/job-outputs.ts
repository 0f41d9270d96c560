/** What comes out of a simulated job: by the real adapters, watched, or to sinks that know their whole history. */
import type { CheckedSinks } from "../../functions/open-ports.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import type { DeadLetterBatch, SinkDriver } from "../../runtime/ports/sink-driver.ts";
import type { Manifest } from "../../runtime/snapshots/manifest.ts";
import { checkOutputs, idsOf, type Outcome } from "../../runtime/testing/simulation/checkers.ts";
import type { CommitChecker } from "../../runtime/testing/simulation/commit-checker.ts";
import { versionPartOf } from "../../runtime/testing/simulation/rules.ts";
import { SinkWorld } from "../../runtime/testing/simulation/sink-world.ts";
import type { Outside } from "../../runtime/testing/simulation/sinks.ts";
import type { Expected } from "../../runtime/testing/simulation/topology.ts";
import type { DeadlyPlace } from "../../runtime/testing/simulation/workload.ts";
import { DeployedSinks, type OwnSinks } from "./deployed-sinks.ts";
import { type Letters, ofDeployment } from "./deployment-topology.ts";
import type { DeploymentWorld } from "./deployment-world.ts";
import { ForkedOutputs, type PutOut } from "./forked-outputs.ts";
import { Lineage } from "./lineage.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import { recordIn } from "./table-sources.ts";

export interface JobOutputsOptions {
  readonly job: string;
  readonly world: DeploymentWorld;
  /** Tables of an author's kind. */
  readonly outside: Outside;
  /** Its sinks that are of AWS in its own code. */
  readonly ownSinks: OwnSinks;
  /** Rows go out by the real adapters. */
  readonly hasRealSinks: boolean;
  /** Hears of everything that is put out. */
  readonly commits: CommitChecker;
  /** Whether its code takes what killed the code before it. */
  readonly isMended: () => boolean;
}

export class JobOutputs {
  /** What came out of the job that this one began from, until it did. */
  began: PutOut | undefined;
  /** The last generation before the job began from another's checkpoint. */
  adoptedAfter = 0;
  readonly #options: JobOutputsOptions;
  readonly #lettersLineage = new Lineage();
  readonly #sinkWorld: SinkWorld;
  readonly #deployedSinks: DeployedSinks;
  readonly #sinks: Pick<SinkWorld, "list" | "table" | "deleted" | "deadLettersSeen">;

  constructor(options: JobOutputsOptions) {
    this.#options = options;
    const { job, world, hasRealSinks, ownSinks } = options;
    this.#sinkWorld = new SinkWorld((message) => world.fail(message), versionPartOf(world.options.without));
    const { s3, rows: tables, settings } = world;
    this.#deployedSinks = new DeployedSinks({ job, lists: settings.lists, s3, tables, pushedTo: world, ownSinks });
    this.#sinks = hasRealSinks ? this.#deployedSinks : this.#sinkWorld;
  }

  /** Of a fork, with what came out of the job that it began from before it did. */
  #outcome(fail: (message: string) => void): Outcome {
    const { world, outside: ownRows, isMended } = this.#options;
    const deadLettersSeen = this.#deadLettersSeen();
    const lists: Outcome["sinks"] = {
      list: (uid) => this.#sinks.list(uid),
      table: (uid) => this.#sinks.table(uid),
      deadLettersSeen,
    };
    const own: PutOut = { sinks: lists, outside: ownRows };
    const out = this.began === undefined ? own : new ForkedOutputs(this.began, own, (uid) => this.#sinks.deleted(uid));
    // What lies in the letters must have been given back.
    const sinks = isMended() ? { ...out.sinks, deadLettersSeen: [] } : out.sinks;
    const records = isMended() ? world.records.map((record) => ({ ...record, deadly: undefined })) : world.records;
    return { topology: world.topology, records, sinks, outside: out.outside, fail };
  }

  #deadLettersSeen(): DeadLetterBatch[] {
    // What it put aside while it ran by itself has been taken back.
    const seen = this.#sinks.deadLettersSeen.filter(({ generation }) => generation > this.adoptedAfter);
    return seen.map((batch) => ({
      ...batch,
      letters: batch.letters.map((letter) => ({ ...letter, bytes: recordIn(letter.bytes) })),
    }));
  }

  /** How many commits have put something aside so far. */
  get putAside(): number {
    return new Set(this.#sinks.deadLettersSeen.map(({ task, seq }) => `${task} ${seq}`)).size;
  }

  /** The records of letters that count: what a restore has gone back behind is read again. */
  get letters(): Letters {
    const batches = this.#deadLettersSeen().filter((batch) => this.#lettersLineage.counts(batch));
    const before = this.began?.sinks.deadLettersSeen ?? [];
    const letters = [...before, ...batches].flatMap((batch) => batch.letters);
    const { records } = this.#options.world;
    return new Map(
      letters.flatMap(({ bytes, back }) =>
        idsOf(bytes, records).map((record) => [record, back === undefined ? "source" : "operator"] as const),
      ),
    );
  }

  /** Whether all that must come out has. */
  get isComplete(): boolean {
    let complete = true;
    const outcome = this.#outcome(() => (complete = false));
    checkOutputs(outcome, "so far");
    if (complete) this.#checkFurther(outcome, "so far");
    return complete;
  }

  /** Holds what has come out against what must have, and against what is promised of it. */
  check(when: string): void {
    const { job, world } = this.#options;
    const outcome = this.#outcome(world.fail);
    checkOutputs(outcome, `of ${job} ${when}`);
    this.#checkFurther(outcome, `of ${job} ${when}`);
    this.#checkPushed(outcome, when);
  }

  #checkFurther(outcome: Outcome, when: string): void {
    ofDeployment(outcome.topology)?.checkFurther?.(outcome, when, this.letters);
  }

  /** What is said of rows that are pushed holds. */
  #checkPushed(outcome: Outcome, when: string): void {
    const { world, hasRealSinks, job } = this.#options;
    if (!hasRealSinks) return;
    const { lists, changes } = expectedOf(outcome);
    for (const [uid, rows] of lists) {
      const expected = new Set(rows.map((row) => JSON.stringify(row)));
      // Which changes lead to what is left depends on the order of what came.
      const isExpected = (row: string) => changes?.has(uid) === true || expected.has(row);
      const problem = this.#deployedSinks.pushed.problemOf(this.#deployedSinks.pushedRows(uid), isExpected);
      if (problem !== undefined) world.fail(`${problem}: ${uid} of ${job} ${when}`);
    }
  }

  /**
   * What counts as put out at the checkpoint: a copy. Of sinks that do not know their history it is all that is there: the job has stopped with
   * that checkpoint, and puts nothing out behind it.
   */
  putOut(uids: readonly string[], at: Manifest): PutOut {
    const lastSeq = new Map(at.tasks.map((ack) => [ack.task, ack.lastSeq]));
    const isAt = ({ generation, task, seq }: DeadLetterBatch) =>
      generation < at.generation || (generation === at.generation && seq <= (lastSeq.get(task) ?? 0));
    const { hasRealSinks } = this.#options;
    const deadLettersSeen = this.#deadLettersSeen().filter((batch) => hasRealSinks || isAt(batch));
    const contents = hasRealSinks ? this.#deployedSinks : this.#sinkWorld.at({ from: at.generation, lastSeq });
    const lists = new Map(uids.map((uid) => [uid, contents.list(uid)]));
    const tables = new Map(uids.map((uid) => [uid, contents.table(uid)]));
    const outside: Outside = new Map(
      [...this.#options.outside].map(([uid, { functions, rows }]) => [uid, { functions, rows: new Map(rows) }]),
    );
    return { sinks: { list: (uid) => lists.get(uid)!, table: (uid) => tables.get(uid)!, deadLettersSeen }, outside };
  }

  /** The real ones, watched. */
  watched(real: CheckedSinks): CheckedSinks {
    const { commits } = this.#options;
    return {
      check: async () => real.check?.(),
      carryOut: async (effect) => {
        await real.carryOut(effect);
        commits.onSink(effect);
      },
      deadLetters: async (batch) => {
        await real.deadLetters(batch);
        this.#sinks.deadLettersSeen.push(batch);
        commits.onDeadLetters(batch);
      },
      quarantine: (operator, restored) => {
        this.#deployedSinks.pushed.onQuarantine(operator, restored);
        return real.quarantine(operator, restored);
      },
      quarantineLetters: async (restored) => {
        this.#lettersLineage.onRestored(restored);
        return real.quarantineLetters?.(restored);
      },
    };
  }

  /** Those that know their history, by the hand of this process. */
  simulated(process: SimulatedProcess): SinkDriver {
    const { world, commits } = this.#options;
    const sinks = this.#sinkWorld;
    return {
      carryOut: (effect) =>
        atService(world, process, `sink ${effect.operator} ${effect.task} ${effect.seq}.${effect.n}`, async () => {
          await sinks.carryOut(effect);
          commits.onSink(effect);
          world.calls.echo(() => sinks.carryOut(effect));
        }),
      deadLetters: (batch) =>
        atService(world, process, `deadLetters ${batch.task} ${batch.seq}`, async () => {
          await sinks.deadLetters(batch);
          commits.onDeadLetters(batch);
        }),
      quarantine: (operator, restored) =>
        atService(world, process, `quarantine ${operator} for ${restored.generation}`, () =>
          sinks.quarantine(operator, restored),
        ),
    };
  }
}

function expectedOf({ topology, records }: Outcome): Expected {
  const of = (place: DeadlyPlace | undefined) => records.filter(({ deadly }) => deadly === place);
  return topology.expect(of(undefined), of("timer"));
}

/** A request that nobody repeats but the engine. */
export async function atService(
  { calls }: DeploymentWorld,
  process: SimulatedProcess,
  what: string,
  effect: () => Promise<void>,
): Promise<void> {
  const result = await calls.request(process, what, 30, effect);
  if ("answer" in result) return result.answer;
  throw new MillraceError("unavailable", `simulated: ${result.failed}`);
}
