/** A job some of whose input ends its process: a record by an exit, another by a signal, a timer by an exit. */
import {
  boundedOutOfOrderness,
  defineJob,
  files,
  fileSink,
  keyedProcess,
  millis,
  ndjson,
  type,
  value,
} from "../../runtime/index.ts";

interface Event {
  readonly key: string;
  readonly at: number;
  readonly n: number;
}

const totals = keyedProcess({
  key: type<string>(),
  state: { total: value<number>() },
  output: type<{ key: string; n?: number; total?: number; fired?: number }>(),
  onRecord({ n, at }: Event, ctx) {
    if (n === 13) process.exit(3);
    if (n === 31) process.kill(process.pid, "SIGKILL");
    const total = (ctx.state.total.get() ?? 0) + n;
    ctx.state.total.set(total);
    ctx.emit({ key: ctx.key, n, total });
    ctx.timers.eventTime(at + 10);
  },
  onTimer(at, ctx) {
    if (at === 30) process.exit(4);
    ctx.emit({ key: ctx.key, fired: at });
  },
});

export default defineJob(
  "poisoned",
  (job) => {
    job
      .source("events", files<Event>({ paths: "events.ndjson", format: ndjson() }), {
        timestamps: ({ at }) => at,
        watermarks: boundedOutOfOrderness(millis(0)),
      })
      .keyBy(({ key }) => key)
      .process("totals", totals)
      .sinkTo("rows", fileSink({ path: "rows", format: ndjson() }));
  },
  { parallelism: Number(process.env.POISON_PARALLELISM ?? 1) },
);
