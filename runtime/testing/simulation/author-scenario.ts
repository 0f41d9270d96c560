/** An author's job as a world runs it: the author's events in streams, the author's sinks, the author's check. */
import type { Job } from "../../api/job.ts";
import { messageOf } from "../../base/errors.ts";
import { decodeValue } from "../../base/message-pack.ts";
import { defaultLimits } from "../../task/task-plan.ts";
import type { SeededRandom } from "../../base/seeded-random.ts";
import { assumedKeys, planAuthorsJob, sinksOf } from "./author-job.ts";
import { AuthorSinks } from "./author-sinks.ts";
import { drawSizes, frailShare, frailSizes, type Sizes } from "./settings.ts";
import type { Scenario, SourceEvent, Subject } from "./subject.ts";
import type { World } from "./world.ts";

/** A job, and what its own sinks hold. */
export interface JobAndContents {
  readonly job: Job;
  readonly contents: Readonly<Record<string, () => Iterable<unknown>>>;
}

/** An event of a source, encoded. */
export interface AuthorEvent extends SourceEvent {
  /** Over all sources. */
  readonly number: number;
}

/** Something that was put aside. */
export interface SimulatedLetter {
  readonly operator: string;
  readonly reason: string;
  /** The event, the value or the timer. */
  readonly value: unknown;
}

/** What has come out: by uid what each sink holds, and the dead letters. */
export interface SimulatedOutcome {
  readonly outputs: Readonly<Record<string, readonly unknown[]>>;
  readonly deadLetters: readonly SimulatedLetter[];
}

export interface AuthorScenarioOptions {
  /** A job for every run: its sinks are empty. */
  create(): JobAndContents;
  readonly events: ReadonlyMap<string, readonly AuthorEvent[]>;
  /** Sources whose streams have several shards. */
  readonly sharded: ReadonlySet<string>;
  readonly parallelism: number | undefined;
  readonly restores: boolean;
  /** Throws what is wrong. */
  judge(outcome: SimulatedOutcome): Promise<void> | void;
}

export function authorScenario(options: AuthorScenarioOptions): Scenario {
  const made = options.create();
  let fresh: JobAndContents | undefined = made;
  return {
    draw: (random) => drawAuthorSizes(random, made.job, options),
    create: (world) => {
      const run = fresh ?? options.create();
      fresh = undefined;
      return authorSubject(world, run, options);
    },
  };
}

function drawAuthorSizes(random: SeededRandom, job: Job, { parallelism, restores }: AuthorScenarioOptions): Sizes {
  const frail = random.chance(frailShare);
  const { mode = "streaming" } = job.options;
  const drawn = drawSizes(random, { frail, mode, single: mode === "batch" && assumedKeys(job).size > 0 });
  // How large the author's rows are is not ours to choose: none becomes a dead letter for its size.
  const limits = { ...drawn.limits, frameBytesMax: defaultLimits.frameBytesMax };
  return {
    ...drawn,
    ...(frail ? frailSizes() : {}),
    limits,
    ...(parallelism === undefined ? {} : { parallelism }),
    ...(restores ? {} : { restores: 0 }),
  };
}

function authorSubject(world: World, { job, contents }: JobAndContents, options: AuthorScenarioOptions): Subject {
  const sinks = new AuthorSinks(world, sinksOf(job));
  const wanted = world.options.events && new Set(world.options.events);
  const own = [...options.events].map(
    ([source, list]) => [source, list.filter((event) => wanted?.has(event.number) ?? true)] as const,
  );
  const single = [...options.events.keys()].filter((source) => !options.sharded.has(source));
  return {
    name: job.name,
    sources: new Map(own),
    shards: new Map(single.map((source) => [source, 1])),
    mayBeLate: true,
    restorable: options.restores,
    plan: (sizes, parallelism) => planAuthorsJob(job, sizes, options.parallelism ?? parallelism),
    sinksOf: (process) => sinks.driverOf(process),
    settle: () => sinks.settle(),
    check: async (when) => {
      const held = Object.entries(contents).map(([uid, read]) => [uid, [...read()]] as const);
      try {
        await options.judge({ outputs: Object.fromEntries([...sinks.contents(), ...held]), deadLetters: lettersOf(sinks) });
      } catch (error) {
        world.fail(`${when}: ${messageOf(error)}`, error);
      }
    },
    close: () => sinks.close(),
  };
}

function lettersOf(sinks: AuthorSinks): readonly SimulatedLetter[] {
  return sinks.deadLetters.flatMap(({ letters }) =>
    letters.map(({ operator, reason, bytes }) => ({ operator, reason, value: valueOf(bytes) })),
  );
}

/** Of a timer its JSON, else a value as the engine encodes it. */
function valueOf(bytes: Uint8Array): unknown {
  const text = bytes[0] === 0x7b && bytes.length > 1;
  return text ? (JSON.parse(Buffer.from(bytes).toString()) as unknown) : decodeValue(bytes);
}
