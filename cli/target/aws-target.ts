/**
 * A job on AWS, in an emulated cloud or on LocalStack: found by its coordinator's function, which says where everything is. Endpoints,
 * region and credentials are the SDK's own settings.
 */
import { randomUUID } from "node:crypto";
import { type AwsClients, awsClients } from "../../runtime/adapters/aws/aws-clients.ts";
import { type FunctionCaller, LambdaCaller } from "../../runtime/adapters/aws/lambda-caller.ts";
import type { Pace } from "../../runtime/adapters/aws/back-off.ts";
import { openAws } from "../../runtime/adapters/aws/open-aws.ts";
import { S3Bucket } from "../../runtime/adapters/aws/s3-bucket.ts";
import { SystemClock } from "../../runtime/adapters/local/system-clock.ts";
import { readJobRecord } from "../../runtime/driver/job-ring.ts";
import type { Clock } from "../../runtime/ports/clock.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import type { Telemetry } from "../../runtime/ports/telemetry.ts";
import { hasTaken, type Order } from "../../runtime/snapshots/decide-order.ts";
import type { JobRecord } from "../../runtime/snapshots/job-record.ts";
import { deadLetterPrefix, type JobDescription, payloadVersion } from "../../functions/contract.ts";
import { attend } from "./attend.ts";
import { describeJob } from "./describe-job.ts";
import type { JobPorts, LetterStore, Target } from "./target.ts";

export interface AwsTarget extends Target {
  readonly kind: "aws";
  readonly description: JobDescription;
  readonly clients: AwsClients;
}

const silent: Telemetry = { add: () => undefined, gauge: () => undefined, log: () => undefined };
/** How often the job record is looked at for an order. */
const lookMs = 250;

/** What takes the place of what a target makes by itself: for tests. */
export interface AwsTargetParts {
  readonly clients?: AwsClients;
  readonly caller?: FunctionCaller;
  readonly clock?: Clock;
  /** As a port has it: from 0 to below 1, for jitter. */
  readonly random?: () => number;
  /** Slots per ring of a job that has none so far. */
  readonly ringSize?: number;
}

/** `coordinator`: the function's name, the output `CoordinatorFunction` of the stack. Throws `invalid` when it is not there or not one. */
export async function openAwsTarget(coordinator: string, parts: AwsTargetParts = {}): Promise<AwsTarget> {
  const { clients = awsClients(), caller = new LambdaCaller(), clock = new SystemClock(), random, ringSize } = parts;
  const description = await describeJob(caller, coordinator, clock);
  const { job, stateTable: table, stateBucket: bucket } = description;
  const given = { ...(random && { random }), ...(ringSize !== undefined && { ringSize }) };
  const ports = await openAws({ job, table, bucket, clock, telemetry: silent, clients, ...given });
  return {
    kind: "aws",
    job,
    place: `coordinator ${coordinator}, table ${table}, bucket ${bucket}`,
    words: `--coordinator ${coordinator}`,
    description,
    clients,
    ports,
    runner: async () => `function ${coordinator}`,
    order: (order, ended) => giveOrder(caller, coordinator, job, ports, order, ended),
    letters: letterObjects(clients, description, { clock, random: random ?? Math.random }),
    close: async () => {
      caller.close();
      for (const client of Object.values(clients)) (client as { destroy(): void }).destroy();
    },
  };
}

async function giveOrder(
  caller: FunctionCaller,
  coordinator: string,
  job: string,
  ports: JobPorts,
  order: Order,
  ended: AbortSignal,
): Promise<JobRecord> {
  const taken = new AbortController();
  const command = { ...order, id: order.id === "" ? randomUUID() : order.id, version: payloadVersion };
  const give = () => caller.call(coordinator, command, ended);
  const attended = attend(give, ports.clock, ended, () => taken.signal.aborted);
  const failed = attended.then(() => new Promise<never>(() => undefined));
  try {
    return await Promise.race([failed, seen(ports, job, command.id, taken.signal)]);
  } finally {
    taken.abort();
    failed.catch(() => undefined);
  }
}

/** The record once it has the order. */
async function seen({ clock, ...ports }: JobPorts, job: string, order: string, ended: AbortSignal): Promise<JobRecord> {
  for (;;) {
    await clock.sleep(lookMs, ended);
    const record = await readJobRecord(ports as unknown as Ports, job).catch(() => undefined);
    if (record !== undefined && hasTaken(record, order)) return record;
    if (ended.aborted) return new Promise(() => undefined);
  }
}

function letterObjects({ s3 }: AwsClients, { job, deadLetterBucket }: JobDescription, pace: Pace): LetterStore {
  const bucket = new S3Bucket(s3, deadLetterBucket, silent, pace);
  const prefix = deadLetterPrefix(job);
  return {
    place: `s3://${deadLetterBucket}/${prefix}`,
    list: async () => (await bucket.listAll(prefix)).map(({ key }) => key.slice(prefix.length)),
    read: async (name) => Buffer.from((await bucket.get(prefix + name)) ?? []).toString(),
  };
}
