/** Counts on the partition keys of its source. */
import { consoleSink, defineJob, json, keyedProcess, kinesis, type, value } from "../../../runtime/index.ts";

interface Click {
  readonly user: string;
}

export default defineJob(
  "keyed-source",
  (job) => {
    job
      .source("clicks", kinesis({ stream: "clicks", format: json(type<Click>()) }))
      .assumeKeyed(({ user }) => user)
      .process(
        "totals",
        keyedProcess({
          state: { total: value<number>() },
          output: type<number>(),
          onRecord: (_click: Click, { state, emit }) => {
            const total = (state.total.get() ?? 0) + 1;
            state.total.set(total);
            emit(total);
          },
        }),
      )
      .sinkTo("shown", consoleSink());
  },
  { parallelism: 2 },
);
