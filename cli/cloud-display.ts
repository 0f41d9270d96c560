/** What `millrace emulate` shows: what runs and how it is reached, lines of functions, and what goes wrong. */
import type { CloudEvent, EmulatedCloud, Topology } from "../emulator/cloud/index.ts";
import { duration, grouped, plural } from "./words.ts";

/** Shown once, when the cloud runs. */
export function describeCloud(cloud: EmulatedCloud, state: string | undefined): string {
  const { streams, tables, buckets, queues, topics, eventBuses, rules, functions } = cloud.topology;
  const { kinesis, dynamodb, s3, lambda, sqs, sns, events } = cloud.endpoints;
  // Of what few jobs use, where this one does.
  const others: readonly (readonly [string, string, readonly string[]])[] = [
    ["SQS", sqs, Object.keys(queues)],
    ["SNS", sns, Object.keys(topics)],
    ["EventBridge", events, busesOf(eventBuses, rules)],
  ];
  const stream = ([name, { shardCount }]: [string, { shardCount: number }]) => `${name} (${plural(shardCount, "shard")})`;
  return [
    "",
    ...columns([
      ["Kinesis", kinesis, listed(Object.entries(streams).map(stream))],
      ["DynamoDB", dynamodb, listed(Object.keys(tables))],
      ["S3", s3, listed(buckets)],
      ["Lambda", lambda, listed(Object.keys(functions))],
      ...others.flatMap(([service, endpoint, names]) => (names.length === 0 ? [] : [[service, endpoint, listed(names)]])),
    ]),
    "",
    ...columns(Object.keys(functions).map((name) => [name, describeFunction(name, cloud.topology)])),
    "",
    "From another terminal, the AWS CLI and AWS's SDKs reach it with",
    "",
    ...Object.entries(cloud.variables).map(([name, value]) => `  export ${name}=${value}`),
    "",
    ...tryIt(Object.keys(streams)[0]),
    state === undefined ? "All is kept in memory and gone when it ends; --state DIR keeps it." : `All is kept in ${state}.`,
    "Ctrl-C ends it. What functions print follows.",
    "",
  ].join("\n");
}

/** The account's own bus is worth a word where a rule looks at it. */
function busesOf(eventBuses: readonly string[], rules: Required<Topology>["rules"]): readonly string[] {
  const ruled = Object.values(rules).some(({ eventBusName = "default" }) => eventBusName === "default");
  return ruled ? ["default", ...eventBuses] : eventBuses;
}

function tryIt(stream: string | undefined): string[] {
  if (stream === undefined) return [];
  // From a file: what --data itself takes, text or base64, is another in each major version of the CLI.
  const command = `printf hello | aws kinesis put-record --stream-name ${stream} --partition-key a --data fileb:///dev/stdin`;
  return ["and feed it, for instance, with", "", `  ${command}`, ""];
}

function describeFunction(
  name: string,
  { functions, eventSourceMappings, tableMappings, queueMappings, schedules }: Required<Topology>,
): string {
  const { memorySize = 128, timeout = 3, reservedConcurrentExecutions } = functions[name]!;
  const of = <T extends { readonly functionName: string }>(resource: T) => resource.functionName === name;
  const most = reservedConcurrentExecutions === undefined ? [] : [`at most ${grouped(reservedConcurrentExecutions)} at once`];
  const sources = eventSourceMappings.filter(of).map(({ streamName, enabled = true }) => {
    return `from stream ${streamName}${enabled ? "" : " (disabled)"}`;
  });
  const tables = tableMappings.filter(of).map(({ tableName, enabled = true }) => {
    return `from the changes of table ${tableName}${enabled ? "" : " (disabled)"}`;
  });
  const queues = queueMappings.filter(of).map(({ queueName, enabled = true }) => {
    return `from queue ${queueName}${enabled ? "" : " (disabled)"}`;
  });
  const rates = Object.values(schedules)
    .filter(of)
    .map(({ scheduleExpression, state }) => `${scheduleExpression}${state === "DISABLED" ? " (disabled)" : ""}`);
  return [`${memorySize} MB`, `${timeout} s`, ...most, ...sources, ...tables, ...queues, ...rates].join(", ");
}

/** One line; undefined for what needs no word. */
export function describeEvent(event: CloudEvent): string | undefined {
  switch (event.kind) {
    case "log":
      return `${event.line.functionName} ${event.line.environment.slice(0, 4)}  ${event.line.text}`;
    case "report": {
      const { functionName, environment, outcome, durationMs, memoryMb, maxMemoryUsedMb } = event.report;
      // What was thrown, the function has printed.
      if (outcome === "returned" || outcome === "exception") return undefined;
      const memory = outcome === "memory" ? `, ${maxMemoryUsedMb} MB of ${memoryMb} MB` : "";
      return `${functionName} ${environment.slice(0, 4)}  failed: ${causes[outcome]}, after ${duration(durationMs)}${memory}`;
    }
    case "dropped": {
      const { functionName, attempts, payload } = event.dropped;
      return `${functionName}  event given up after ${plural(attempts, "attempt")}: ${Buffer.from(payload).toString().slice(0, 200)}`;
    }
    case "mapping":
      return describeMapping(event);
    case "queueMapping": {
      const { functionName, queueName, event: batch } = event;
      if (batch.failed === 0) return undefined;
      return `${functionName}  ${plural(batch.failed, "message")} of ${queueName} will come again${batch.why === undefined ? "" : `: ${batch.why}`}`;
    }
    case "scheduled":
      return undefined;
  }
}

const causes = {
  timeout: "its time was over",
  memory: "its memory was full",
  exit: "its process ended",
  responseTooLarge: "its response was too large",
} as const;

function describeMapping({ functionName, streamName, event }: Extract<CloudEvent, { kind: "mapping" }>): string | undefined {
  const from = `${streamName} → ${functionName}`;
  if (event.kind === "problem") return `${from}  ${event.message}`;
  if (event.kind === "shardEnded") return `${from}  ${event.shardId} is read to its end`;
  if (event.kind === "invoked" && event.outcome !== "success" && event.why !== undefined) {
    return `${from}  ${plural(event.sequenceNumbers.length, "record")} of ${event.shardId}: ${event.outcome}: ${inShort(event.why)}`;
  }
  if (event.kind !== "discarded") return undefined;
  const { count, shardId, condition } = event.discard;
  const where = event.delivery === "delivered" ? "delivered to the destination" : `destination: ${event.delivery}`;
  return `${from}  ${plural(count, "record")} of ${shardId} discarded: ${condition}, ${where}`;
}

/** Of a function's error, which is JSON with a stack, its type and message. */
function inShort(why: string): string {
  const at = why.indexOf("{");
  if (at === -1) return why;
  try {
    const { errorType, errorMessage } = JSON.parse(why.slice(at)) as { errorType?: string; errorMessage?: string };
    return `${errorType}: ${errorMessage}`;
  } catch {
    return why;
  }
}

/** Shown at the end: how often each function ran. */
export function describeCounts(cloud: EmulatedCloud): string[] {
  return Object.keys(cloud.topology.functions).map((name) => {
    const { invocations, coldStarts, failures, throttles } = cloud.counts(name);
    const more = [failures > 0 ? `, ${grouped(failures)} failed` : "", throttles > 0 ? `, ${grouped(throttles)} throttled` : ""];
    return `${name}: ${plural(invocations, "invocation")}, ${plural(coldStarts, "cold start")}${more.join("")}`;
  });
}

function listed(names: readonly string[]): string {
  return names.join(", ");
}

/** Rows with cells of one width, each a line with two spaces before it. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]!.length))) ?? [];
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ")}`.trimEnd());
}
