/**
 * Page views per minute and page, sessions per user, and whatever came too late for either.
 *
 * Every request counts as a view, whatever its method and status; a user is who the log says asked.
 */
import {
  boundedOutOfOrderness,
  count,
  defineJob,
  type Duration,
  fileSink,
  type Job,
  minutes,
  ndjson,
  outputTag,
  session,
  type Source,
  tumbling,
} from "../../runtime/index.ts";
import type { PageView } from "./page-view.ts";

export interface PageviewsOptions {
  readonly source: Source<PageView>;
  /** How far a view may lie behind the latest one before it and still count. */
  readonly bound: Duration;
  readonly parallelism: number;
  readonly checkpointInterval: Duration;
}

/** A row of `views/`: `start` is the minute's beginning, epoch ms. */
export interface ViewsPerMinute {
  readonly page: string;
  readonly start: number;
  readonly views: number;
}

/** A row of `sessions/`: from the first view to 30 minutes after the last, epoch ms. */
export interface Session {
  readonly user: string;
  readonly start: number;
  readonly end: number;
  readonly views: number;
}

const lateForMinute = outputTag<PageView>("late-for-minute");
const lateForSession = outputTag<PageView>("late-for-session");

export function pageviews({ source, bound, parallelism, checkpointInterval }: PageviewsOptions): Job {
  return defineJob(
    "pageviews",
    (job) => {
      const views = job.source("views", source, {
        timestamps: (view) => view.at,
        watermarks: boundedOutOfOrderness(bound),
      });

      const perMinute = views
        .keyBy((view) => view.page)
        .window(tumbling(minutes(1)))
        .sideOutputLate(lateForMinute)
        .aggregate("per-minute", count(), (page, { start }, views): ViewsPerMinute => ({ page, start, views }));

      const sessions = views
        .keyBy((view) => view.user)
        .window(session(minutes(30)))
        .sideOutputLate(lateForSession)
        .aggregate("sessions", count(), (user, { start, end }, views): Session => ({ user, start, end, views }));

      perMinute.sinkTo("views-files", fileSink({ path: "views", format: ndjson() }));
      sessions.sinkTo("session-files", fileSink({ path: "sessions", format: ndjson() }));
      perMinute.sideOutput(lateForMinute).sinkTo("late-files", fileSink({ path: "late", prefix: "minute-", format: ndjson() }));
      sessions
        .sideOutput(lateForSession)
        .sinkTo("late-session-files", fileSink({ path: "late", prefix: "session-", format: ndjson() }));
    },
    { parallelism, checkpoints: { interval: checkpointInterval } },
  );
}
