/** The runtime half of a job's sinks on AWS, and where its dead letters go. */
import { AwsSinks } from "../runtime/adapters/aws/aws-sinks.ts";
import type { OperatorUid } from "../runtime/base/ids.ts";
import { deadLetterPrefix } from "./contract.ts";
import type { OpenSinks } from "./open-ports.ts";

export const openSinks: OpenSinks = ({ job, settings, clock, telemetry, bindings, random = Math.random, ...given }) => {
  const sinks = [...job.operators.values()].flatMap(({ node: { uid, spec } }) =>
    spec.kind === "sink" ? [[uid as OperatorUid, spec.sink] as const] : [],
  );
  return new AwsSinks({
    job: job.name,
    sinks: new Map(sinks),
    bindings,
    deadLetters: { bucket: settings.deadLetterBucket, prefix: deadLetterPrefix(job.name) },
    telemetry,
    pace: { clock, random },
    ...given,
  });
};
