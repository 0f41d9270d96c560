/** What is needed to give back a record that came over an exchange, once it is among the dead letters. */
import { encodeValue } from "../base/message-pack.ts";
import { endOf } from "../plan/direct-edge.ts";
import type { JobGraph } from "../plan/job-graph.ts";
import type { SentTo } from "../state/commit.ts";
import type { Element } from "../streaming/element.ts";

/** Undefined: every task has got it, so there is no one task to give it back to. */
export function sentTo(job: JobGraph, { edge, key, timestamp }: Element & { kind: "record" }): SentTo | undefined {
  const end = endOf(job, edge);
  if (end === undefined || job.exchanges[edge]?.partitioning.kind === "broadcast") return undefined;
  return {
    ...{ to: end.to, input: end.input },
    ...(key !== undefined && { key: encodeValue(key) }),
    ...(!Number.isNaN(timestamp) && { timestamp }),
  };
}
