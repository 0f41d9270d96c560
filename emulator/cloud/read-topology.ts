/** Checks a topology: every field's type and range, names, and that what refers to another resource finds it. */
import { resolve } from "node:path";
import { MillraceError, messageOf } from "../../runtime/base/errors.ts";
import { compileEventPattern } from "../event-source-mapping/filter-pattern.ts";
import { checkSettings, type MappingSettings } from "../event-source-mapping/settings.ts";
import type { BundleEntry } from "../../packaging/bundle.ts";
import { defaultBus } from "../events/start-events.ts";
import { checkEnvironment } from "../lambda/function-configuration.ts";
import { lambdaLimits } from "../lambda/limits.ts";
import { checkQueueMapping, type QueueMappingSettings } from "../messaging/queue-mapping.ts";
import { Field, present } from "./fields.ts";
import { intervalOf } from "./schedule.ts";
import type {
  CustomResource,
  FunctionResource,
  KeyAttribute,
  MappingResource,
  QueueMappingResource,
  QueueResource,
  RuleResource,
  ScheduleResource,
  StreamResource,
  TableMappingResource,
  TableResource,
  TopicResource,
  Topology,
} from "./topology.ts";

/** A topology with its lists and tables filled in and its paths made absolute. */
export type CheckedTopology = Required<Topology>;

/** AWS's rules for names. */
const names = {
  streams: /^[\w.-]{1,128}$/,
  tables: /^[\w.-]{3,255}$/,
  buckets: /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
  queues: /^(?=.{1,80}$)[\w-]+(\.fifo)?$/,
  topics: /^(?=.{1,256}$)[\w-]+(\.fifo)?$/,
  eventBuses: /^[\w./-]{1,256}$/,
  rules: /^[\w.-]{1,64}$/,
  functions: /^[\w-]{1,64}$/,
  schedules: /^[\w.-]{1,64}$/,
  customResources: /^[\w-]{1,255}$/,
} as const;

/** `json`: what a file holds; `directory`: what its paths are relative to. Throws `invalid`, with the path of the field. */
export function readTopology(json: unknown, directory: string): CheckedTopology {
  const root = new Field(json, "topology");
  const fields = root.object(
    "region",
    "account",
    "accountConcurrency",
    "streams",
    "tables",
    "buckets",
    "queues",
    "topics",
    "eventBuses",
    "rules",
    "functions",
    "eventSourceMappings",
    "tableMappings",
    "queueMappings",
    "schedules",
    "customResources",
  );
  const topology: CheckedTopology = {
    region: fields.region?.text("a region", /^[a-z]{2}(-[a-z]+)+-\d$/) ?? "us-east-1",
    account: fields.account?.text("twelve digits", /^\d{12}$/) ?? "000000000000",
    accountConcurrency: fields.accountConcurrency?.whole(1, 1_000_000) ?? lambdaLimits.accountConcurrency,
    streams: byName(fields.streams, names.streams, readStream),
    tables: byName(fields.tables, names.tables, readTable),
    buckets: fields.buckets?.list().map((bucket) => bucket.text("a bucket's name", names.buckets)) ?? [],
    queues: byName(fields.queues, names.queues, readQueue),
    topics: byName(fields.topics, names.topics, readTopic),
    eventBuses: fields.eventBuses?.list().map((bus) => bus.text("a bus' name", names.eventBuses)) ?? [],
    rules: byName(fields.rules, names.rules, readRule),
    functions: byName(fields.functions, names.functions, (field) => readFunction(field, directory)),
    eventSourceMappings: fields.eventSourceMappings?.list().map(readMapping) ?? [],
    tableMappings: fields.tableMappings?.list().map(readTableMapping) ?? [],
    queueMappings: fields.queueMappings?.list().map(readQueueMapping) ?? [],
    schedules: byName(fields.schedules, names.schedules, readSchedule),
    customResources: byName(fields.customResources, names.customResources, readCustomResource),
  };
  checkReferences(topology);
  return topology;
}

function byName<T>(field: Field | undefined, pattern: RegExp, read: (field: Field) => T): Record<string, T> {
  return Object.fromEntries(
    (field?.entries() ?? []).map(([name, resource]) => {
      if (!pattern.test(name)) throw new MillraceError("invalid", `${resource.path}: AWS allows no such name: ${name}`);
      return [name, read(resource)];
    }),
  );
}

function readStream(field: Field): StreamResource {
  const fields = field.object("shardCount", "retentionPeriodHours", "maxRecordSizeInKiB");
  return present({
    shardCount: field.required(fields, "shardCount").whole(1, 10_000),
    retentionPeriodHours: fields.retentionPeriodHours?.whole(24, 8760),
    maxRecordSizeInKiB: fields.maxRecordSizeInKiB?.whole(1024, 10_240),
  });
}

function readTable(field: Field): TableResource {
  const fields = field.object("partitionKey", "sortKey", "streamViewType");
  return present({
    partitionKey: readKey(field.required(fields, "partitionKey")),
    sortKey: fields.sortKey && readKey(fields.sortKey),
    streamViewType: fields.streamViewType?.oneOf("NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY"),
  });
}

function readKey(field: Field): KeyAttribute {
  const fields = field.object("name", "type");
  return { name: field.required(fields, "name").text(), type: field.required(fields, "type").oneOf("S", "N", "B") };
}

function readQueue(field: Field): QueueResource {
  const fields = field.object("maximumMessageSize", "contentBasedDeduplication", "visibilityTimeout");
  return present({
    visibilityTimeout: fields.visibilityTimeout?.whole(0, 43_200),
    maximumMessageSize: fields.maximumMessageSize?.whole(1024, 1_048_576),
    contentBasedDeduplication: fields.contentBasedDeduplication?.flag(),
  });
}

function readTopic(field: Field): TopicResource {
  const fields = field.object("queues");
  return present({ queues: fields.queues?.list().map((queue) => queue.text()) });
}

function readRule(field: Field): RuleResource {
  const fields = field.object("eventBusName", "eventPattern", "queues", "state");
  const pattern = field.required(fields, "eventPattern");
  at(pattern, () => compileEventPattern(JSON.stringify(pattern.value ?? null)));
  return {
    eventPattern: pattern.value as RuleResource["eventPattern"],
    queues: field
      .required(fields, "queues")
      .list()
      .map((queue) => queue.text("a queue that is not FIFO", /(?<!\.fifo)$/)),
    ...present({ eventBusName: fields.eventBusName?.text(), state: fields.state?.oneOf("ENABLED", "DISABLED") }),
  };
}

function readFunction(field: Field, directory: string): FunctionResource {
  const fields = field.object(
    "entry",
    "codeDirectory",
    "alias",
    "handler",
    "environment",
    "memorySize",
    "timeout",
    "reservedConcurrentExecutions",
  );
  if ((fields.entry === undefined) === (fields.codeDirectory === undefined)) {
    throw new MillraceError("invalid", `${field.path} needs an entry, which is bundled, or a codeDirectory, and not both`);
  }
  const { memoryMbMin, memoryMbMax, timeoutSecondsMax } = lambdaLimits;
  const environment = texts(fields.environment);
  if (environment !== undefined) at(fields.environment!, () => checkEnvironment(environment));
  const alias = texts(fields.alias);
  return present({
    entry: fields.entry && readEntry(fields.entry, directory),
    codeDirectory: fields.codeDirectory && resolve(directory, fields.codeDirectory.text()),
    alias: alias && Object.fromEntries(Object.entries(alias).map(([name, path]) => [name, resolve(directory, path)])),
    handler: fields.handler?.text("file.export", /^[^.]+(\.[^.]+)+$/),
    environment,
    memorySize: fields.memorySize?.whole(memoryMbMin, memoryMbMax),
    timeout: fields.timeout?.whole(1, timeoutSecondsMax),
    reservedConcurrentExecutions: fields.reservedConcurrentExecutions?.whole(0, 1_000),
  });
}

function readEntry(field: Field, directory: string): BundleEntry {
  if (typeof field.value === "string") return resolve(directory, field.text());
  const fields = field.object("contents", "directory");
  return {
    contents: field.required(fields, "contents").text(),
    directory: resolve(directory, field.required(fields, "directory").text()),
  };
}

function texts(field: Field | undefined): Record<string, string> | undefined {
  return field && Object.fromEntries(field.entries().map(([name, value]) => [name, value.text("a text", /^/)]));
}

function readMapping(field: Field): MappingResource {
  const { source: streamName, ...mapping } = readMappingOf(field, "streamName");
  return { ...mapping, streamName };
}

function readTableMapping(field: Field): TableMappingResource {
  const { source: tableName, ...mapping } = readMappingOf(field, "tableName");
  const { startingPosition } = mapping;
  if (startingPosition === "AT_TIMESTAMP")
    throw new MillraceError(
      "invalid",
      `${field.path}: a mapping of a table starts at TRIM_HORIZON or LATEST: ${startingPosition}`,
    );
  return { ...mapping, tableName };
}

/** `source`: the member that names what the mapping reads, and in the result that name. */
function readMappingOf(
  field: Field,
  source: "streamName" | "tableName",
): Omit<MappingResource, "streamName"> & { readonly source: string } {
  const {
    functionName,
    [source]: name,
    enabled,
    onFailure,
    ...settings
  } = field.object(
    "functionName",
    source,
    "enabled",
    "onFailure",
    "batchSize",
    "maximumBatchingWindowInSeconds",
    "startingPosition",
    "startingPositionTimestamp",
    "parallelizationFactor",
    "maximumRetryAttempts",
    "maximumRecordAgeInSeconds",
    "bisectBatchOnFunctionError",
    "functionResponseTypes",
    "tumblingWindowInSeconds",
    "filterCriteria",
  );
  const given = Object.fromEntries(
    Object.entries(settings).map(([name, { value }]) => [name, value]),
  ) as unknown as MappingSettings;
  settings.bisectBatchOnFunctionError?.flag();
  settings.functionResponseTypes?.list().forEach((type) => type.oneOf("ReportBatchItemFailures"));
  for (const filter of settings.filterCriteria?.object("filters").filters?.list() ?? []) {
    filter.required(filter.object("pattern"), "pattern").text("a pattern, as a text of JSON");
  }
  at(field, () => checkSettings(given));
  return {
    ...given,
    functionName: field.required({ functionName }, "functionName").text(),
    source: field.required({ [source]: name }, source).text(),
    ...present({
      enabled: enabled?.flag(),
      onFailure: onFailure && { bucket: onFailure.required(onFailure.object("bucket"), "bucket").text() },
    }),
  };
}

function readQueueMapping(field: Field): QueueMappingResource {
  const { functionName, queueName, enabled, ...settings } = field.object(
    "functionName",
    "queueName",
    "enabled",
    "batchSize",
    "maximumBatchingWindowInSeconds",
    "functionResponseTypes",
    "maximumConcurrency",
  );
  settings.functionResponseTypes?.list().forEach((type) => type.oneOf("ReportBatchItemFailures"));
  const queue = field.required({ queueName }, "queueName").text();
  const given = Object.fromEntries(
    Object.entries(settings).map(([name, { value }]) => [name, value]),
  ) as unknown as QueueMappingSettings;
  at(field, () => checkQueueMapping(queue, given));
  return {
    ...given,
    functionName: field.required({ functionName }, "functionName").text(),
    queueName: queue,
    ...present({ enabled: enabled?.flag() }),
  };
}

function readSchedule(field: Field): ScheduleResource {
  const fields = field.object("scheduleExpression", "functionName", "input", "state");
  const scheduleExpression = field.required(fields, "scheduleExpression").text();
  at(field, () => intervalOf(scheduleExpression));
  return {
    scheduleExpression,
    functionName: field.required(fields, "functionName").text(),
    ...present({ input: fields.input?.value, state: fields.state?.oneOf("ENABLED", "DISABLED") }),
  };
}

function readCustomResource(field: Field): CustomResource {
  const fields = field.object("type", "functionName", "properties");
  return {
    type: field.required(fields, "type").text("Custom::…", /^Custom::[\w@-]{1,60}$/),
    functionName: field.required(fields, "functionName").text(),
    properties: Object.fromEntries(fields.properties?.entries().map(([name, { value }]) => [name, value]) ?? []),
  };
}

/** Puts the path before what another part refuses. */
function at(field: Field, check: () => void): void {
  try {
    check();
  } catch (error) {
    throw new MillraceError("invalid", `${field.path}: ${messageOf(error)}`, { cause: error });
  }
}

function checkReferences(topology: CheckedTopology): void {
  const { streams, tables, buckets, queues, topics, eventBuses, rules, functions } = topology;
  const { eventSourceMappings, tableMappings, queueMappings, schedules, customResources } = topology;
  const check = (path: string, kind: string, name: string, known: readonly string[]) => {
    if (known.includes(name)) return;
    const there = known.length === 0 ? "there is none" : `there are ${known.join(", ")}`;
    throw new MillraceError("invalid", `${path} names a ${kind} that the topology does not have, ${there}: ${name}`);
  };
  for (const [name, topic] of Object.entries(topics))
    for (const queue of topic.queues ?? []) check(`topology.topics.${name}.queues`, "queue", queue, Object.keys(queues));
  for (const [name, { eventBusName = defaultBus, queues: targets }] of Object.entries(rules)) {
    check(`topology.rules.${name}.eventBusName`, "bus", eventBusName, [defaultBus, ...eventBuses]);
    for (const queue of targets) check(`topology.rules.${name}.queues`, "queue", queue, Object.keys(queues));
  }
  eventSourceMappings.forEach(({ functionName, streamName, onFailure }, index) => {
    const path = `topology.eventSourceMappings[${index}]`;
    check(`${path}.functionName`, "function", functionName, Object.keys(functions));
    check(`${path}.streamName`, "stream", streamName, Object.keys(streams));
    if (onFailure !== undefined) check(`${path}.onFailure.bucket`, "bucket", onFailure.bucket, buckets);
  });
  const streamed = Object.keys(tables).filter((name) => tables[name]!.streamViewType !== undefined);
  tableMappings.forEach(({ functionName, tableName, onFailure }, index) => {
    const path = `topology.tableMappings[${index}]`;
    check(`${path}.functionName`, "function", functionName, Object.keys(functions));
    check(`${path}.tableName`, "table with a stream", tableName, streamed);
    if (onFailure !== undefined) check(`${path}.onFailure.bucket`, "bucket", onFailure.bucket, buckets);
  });
  queueMappings.forEach(({ functionName, queueName }, index) => {
    const path = `topology.queueMappings[${index}]`;
    check(`${path}.functionName`, "function", functionName, Object.keys(functions));
    check(`${path}.queueName`, "queue", queueName, Object.keys(queues));
  });
  const pairs = [
    ...eventSourceMappings.map(({ functionName, streamName }) => `${functionName} and ${streamName}`),
    ...tableMappings.map(({ functionName, tableName }) => `${functionName} and table ${tableName}`),
    ...queueMappings.map(({ functionName, queueName }) => `${functionName} and queue ${queueName}`),
  ];
  const twice = pairs.find((pair, index) => pairs.indexOf(pair) < index);
  if (twice !== undefined)
    throw new MillraceError("invalid", `two mappings are between one function and one stream or queue: ${twice}`);
  for (const [name, { functionName }] of Object.entries(schedules)) {
    check(`topology.schedules.${name}.functionName`, "function", functionName, Object.keys(functions));
  }
  for (const [name, { functionName }] of Object.entries(customResources)) {
    check(`topology.customResources.${name}.functionName`, "function", functionName, Object.keys(functions));
  }
}
