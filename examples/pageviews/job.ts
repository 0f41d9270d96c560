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
  type Sink,
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
  /** Checkpoints that are kept; default 3. */
  readonly retained?: number;
  /** Where results go; default files. */
  readonly sinks?: PageviewsSinks;
}

export interface PageviewsSinks {
  readonly views: Sink<ViewsPerMinute>;
  readonly sessions: Sink<Session>;
  readonly lateForMinute: Sink<PageView>;
  readonly lateForSession: Sink<PageView>;
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

const fileSinks: PageviewsSinks = {
  views: fileSink({ path: "views", format: ndjson() }),
  sessions: fileSink({ path: "sessions", format: ndjson() }),
  lateForMinute: fileSink({ path: "late", prefix: "minute-", format: ndjson() }),
  lateForSession: fileSink({ path: "late", prefix: "session-", format: ndjson() }),
};

export function pageviews({
  source,
  bound,
  parallelism,
  checkpointInterval,
  retained = 3,
  sinks = fileSinks,
}: PageviewsOptions): Job {
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

      perMinute.sinkTo("views-out", sinks.views);
      sessions.sinkTo("sessions-out", sinks.sessions);
      perMinute.sideOutput(lateForMinute).sinkTo("late-views-out", sinks.lateForMinute);
      sessions.sideOutput(lateForSession).sinkTo("late-sessions-out", sinks.lateForSession);
    },
    { parallelism, checkpoints: { interval: checkpointInterval, retained } },
  );
}
