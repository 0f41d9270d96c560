/** A job whose state and shape are told by the environment: as it changes from deployment to deployment. */
import { consoleSink, defineJob, json, keyedProcess, kinesis, type, value } from "../../../runtime/index.ts";

interface Click {
  readonly user: string;
}

/** What a deployment of it is like. */
export interface Variant {
  readonly version?: number;
  readonly migrates?: boolean;
  readonly uid?: string;
  readonly parallelism?: number;
}

export function keyedState({ version = 1, migrates = false, uid = "totals", parallelism = 4 }: Variant) {
  const total = value<number>({ version, ...(migrates && { migrate: (old: unknown) => Number(old) }) });
  return defineJob(
    "keyed-state",
    (job) => {
      job
        .source("clicks", kinesis({ stream: "clicks", format: json(type<Click>()) }))
        .keyBy(({ user }) => user)
        .process(
          uid,
          keyedProcess({
            state: { total },
            output: type<number>(),
            onRecord: (_click: Click, { state, emit }) => {
              state.total.set((state.total.get() ?? 0) + 1);
              emit(state.total.get() ?? 0);
            },
          }),
        )
        .sinkTo("shown", consoleSink());
    },
    { parallelism },
  );
}
