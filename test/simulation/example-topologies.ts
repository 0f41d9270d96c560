/**
 * The example jobs as topologies, by name: the code that is deployed, under faults, held against a recount of its input. Its oracle knows
 * nothing of Millrace.
 */
import { files, type Job, minutes, ndjson, seconds } from "../../runtime/index.ts";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { encodeValue } from "../../runtime/base/message-pack.ts";
import { type AuthorEvent, authorScenario } from "../../runtime/testing/simulation/author-scenario.ts";
import { canonicalText } from "../../runtime/testing/simulation/canonical-text.ts";
import type { Scenario } from "../../runtime/testing/simulation/subject.ts";
import { pageviews } from "../../examples/pageviews/job.ts";
import { pageViewSchema, type PageView } from "../../examples/pageviews/page-view.ts";
import { perMinute, visits } from "./page-view-oracle.ts";
import { type Held, pageCounts, replacingSink } from "../../docs/testing/page-counts.ts";

const random = new SeededRandom(1);

/** None is late, and no two visits of a user touch. */
const views: readonly PageView[] = Array.from({ length: 60 }, (_, n) => ({
  user: `user-${random.int(8)}`,
  page: `/${random.int(4)}`,
  at: n * 170_000 + random.int(59) * 1_000,
}));

type Outputs = Readonly<Record<string, readonly unknown[]>>;

interface Example {
  readonly source: string;
  /** A job with nothing in its sinks, and what its own hold. */
  create(): { readonly job: Job; readonly contents: Readonly<Record<string, () => Iterable<unknown>>> };
  expect(views: readonly PageView[]): Outputs;
}

const examples: Readonly<Record<string, Example>> = {
  pageviews: {
    source: "views",
    create: () => ({
      job: pageviews({
        source: files({ paths: "views.ndjson", format: ndjson(pageViewSchema) }),
        bound: seconds(60),
        parallelism: 1,
        checkpointInterval: minutes(1),
      }),
      contents: {},
    }),
    expect: (own) => ({
      "views-out": perMinute(own),
      "sessions-out": visits(own),
      "late-views-out": [],
      "late-sessions-out": [],
    }),
  },
  pageCounts: {
    source: "views",
    create: () => {
      const held = new Map<string, Held>();
      return { job: pageCounts(replacingSink(held)), contents: { totals: () => [...held.values()].map(({ row }) => row) } };
    },
    expect: (own) => ({ totals: perMinute(own) }),
  },
};

export const exampleNames = Object.keys(examples);

/** `only`: the numbers of the views that it is given; default: all. Undefined: there is no such example. */
export function exampleScenario(name: string | undefined, only: readonly number[] | undefined): Scenario | undefined {
  const example = examples[name ?? ""];
  if (example === undefined) return undefined;
  const events = views.map((view, number): AuthorEvent => ({ number, partitionKey: view.user, bytes: encodeValue(view) }));
  const wanted = only && new Set(only);
  const expected = example.expect(views.filter((_, number) => wanted?.has(number) ?? true));
  return authorScenario({
    create: example.create,
    events: new Map([[example.source, events]]),
    sharded: new Set([example.source]),
    parallelism: undefined,
    restores: true,
    judge: ({ outputs }) => {
      for (const [sink, rows] of Object.entries(expected)) {
        const texts = (list: readonly unknown[] = []) => list.map(canonicalText).sort().join("\n");
        if (texts(rows) !== texts(outputs[sink]))
          throw new Error(`C4: ${sink} should hold ${rows.length} rows:\n${texts(rows)}\nit holds:\n${texts(outputs[sink])}`);
      }
    },
  });
}
