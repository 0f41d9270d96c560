/** What the compiler knows of a simulation, and refuses: held by `tsc` alone. */
import { files, ndjson, type Job, type } from "../../runtime/index.ts";
import { type EventOf, simulate } from "../../runtime/testing/index.ts";
import { type Equal, holds } from "../api/types.ts";

interface View {
  readonly page: string;
  readonly at: number;
}

interface Row {
  readonly page: string;
  readonly n: number;
}

const views = files({ paths: "views.ndjson", format: ndjson(type<View>()) });
holds<Equal<EventOf<typeof views>, View>>();
void views;

export async function neverRun(job: Job): Promise<void> {
  await simulate<{ views: EventOf<typeof views> }, { rows: Row }>(job, {
    events: { views: [{ page: "/", at: 0 }] },
    partitionKey: { views: ({ page }) => page },
    check({ rows }, { seed }) {
      holds<Equal<typeof rows, readonly Row[]>>();
      holds<Equal<typeof seed, number | undefined>>();
      void [rows, seed];
    },
  });
  await simulate<{ views: View }>(job, {
    // @ts-expect-error: a field is missing.
    events: { views: [{ page: "/" }] },
  });
  await simulate<{ views: View }>(job, {
    events: {
      views: [],
      // @ts-expect-error: there is no such source.
      clicks: [],
    },
  });
  // Types of events follow from the events where they are not named.
  await simulate(job, {
    events: { views: [{ page: "/", at: 0 }] },
    partitionKey: {
      // @ts-expect-error: a key is text.
      views: ({ at }) => at,
    },
  });
}
