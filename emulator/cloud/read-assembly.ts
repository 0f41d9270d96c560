/**
 * The topology of an emulated cloud from a synthesised cloud assembly (`cdk.out`), and from nothing else: what is emulated is what would be
 * deployed. Needs no CDK: an assembly is files of JSON, and folders of code.
 *
 * A1 A property is acted on, or reported; none is passed over in silence.
 */
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { messageOf, MillraceError } from "../../runtime/base/errors.ts";
import { present } from "./fields.ts";
import { isKnownNotEmulated } from "./not-emulated.ts";
import { type NamedStack, type Template, TemplateValues } from "./template-values.ts";
import type {
  CustomResource,
  FunctionResource,
  MappingResource,
  QueueMappingResource,
  QueueResource,
  RuleResource,
  ScheduleResource,
  StreamResource,
  TableMappingResource,
  TableResource,
  Topology,
} from "./topology.ts";

export interface AssemblyOptions {
  /** The stacks to emulate, with those that they depend on; default all. */
  readonly stacks?: readonly string[];
  readonly region?: string;
  readonly account?: string;
}

export interface AssemblyTopology {
  readonly topology: Topology;
  /** What the emulated cloud does not act on, as "Type.Property". */
  readonly notActedOn: readonly string[];
  /** Of these, what not-emulated.ts does not list. */
  readonly unexpected: readonly string[];
}

/** Throws `invalid` for a folder that is no assembly, for a stack that it does not have, and for what the templates refer to in vain. */
export async function readAssembly(directory: string, options: AssemblyOptions = {}): Promise<AssemblyTopology> {
  const { region = "us-east-1", account = "000000000000" } = options;
  const assembly = await loadAssembly(resolve(directory));
  const stacks = chosen(assembly.stacks, options.stacks);
  const values = new TemplateValues(stacks, { region, account });
  const translation = new Translation(assembly.code);
  for (const stack of stacks)
    for (const [id, { Type, Condition, Properties = {} }] of Object.entries(stack.template.Resources ?? {})) {
      if (!values.holds(Condition, stack)) continue;
      if (!emulatedTypes.has(Type)) translation.notActedOn.add(`${Type}.*`);
      else translation.take(Type, values.nameOf(stack, id), values.resolve(Properties, stack) as Properties);
    }
  const notActedOn = [...translation.notActedOn].sort();
  return {
    topology: { region, account, ...translation.topology() },
    notActedOn,
    unexpected: notActedOn.filter((path) => {
      const [type, ...property] = path.split(".");
      return !isKnownNotEmulated(type!, property.join("."));
    }),
  };
}

// ---- files ----

interface LoadedStack extends NamedStack {
  readonly artifact: string;
  readonly dependencies: readonly string[];
}

interface Assembly {
  readonly stacks: readonly LoadedStack[];
  /** By the key under which it is put into the bucket of assets: the folder of the code. */
  readonly code: ReadonlyMap<string, string>;
}

interface Manifest {
  readonly artifacts?: Readonly<
    Record<
      string,
      {
        readonly type: string;
        readonly dependencies?: readonly string[];
        readonly properties?: {
          readonly templateFile?: string;
          readonly stackName?: string;
          readonly file?: string;
          readonly directoryName?: string;
        };
      }
    >
  >;
}

interface AssetManifest {
  readonly files?: Readonly<
    Record<
      string,
      {
        readonly source: { readonly path?: string };
        readonly destinations: Readonly<Record<string, { readonly objectKey: string }>>;
      }
    >
  >;
}

async function loadAssembly(directory: string): Promise<Assembly> {
  const { artifacts = {} } = await readJson<Manifest>(join(directory, "manifest.json"));
  const stacks: LoadedStack[] = [];
  const code = new Map<string, string>();
  for (const [artifact, { type, dependencies = [], properties = {} }] of Object.entries(artifacts)) {
    if (type === "cdk:cloud-assembly") {
      const nested = await loadAssembly(join(directory, properties.directoryName!));
      stacks.push(...nested.stacks);
      for (const [key, path] of nested.code) code.set(key, path);
    } else if (type === "aws:cloudformation:stack") {
      const template = await readJson<Template>(join(directory, properties.templateFile!));
      stacks.push({ artifact, name: properties.stackName ?? artifact, template, dependencies });
    } else if (type === "cdk:asset-manifest") {
      const { files = {} } = await readJson<AssetManifest>(join(directory, properties.file!));
      for (const { source, destinations } of Object.values(files))
        for (const { objectKey } of Object.values(destinations))
          if (source.path !== undefined) code.set(objectKey, resolve(directory, source.path));
    }
  }
  return { stacks, code };
}

async function readJson<T>(path: string): Promise<T> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as T;
  } catch (error) {
    throw new MillraceError(
      "invalid",
      `this is no cloud assembly, which cdk synth writes to cdk.out: ${path}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

function chosen(all: readonly LoadedStack[], names: readonly string[] | undefined): readonly LoadedStack[] {
  if (names === undefined) return all;
  const known = (name: string) => all.find((stack) => stack.name === name || stack.artifact === name);
  const unknown = names.find((name) => known(name) === undefined);
  if (unknown !== undefined)
    throw new MillraceError(
      "invalid",
      `the assembly has no stack of this name, but ${all.map(({ name }) => name).join(", ")}: ${unknown}`,
    );
  const wanted = new Set<LoadedStack>();
  const add = (stack: LoadedStack | undefined) => {
    if (stack === undefined || wanted.has(stack)) return;
    wanted.add(stack);
    for (const name of stack.dependencies) add(known(name));
  };
  for (const name of names) add(known(name));
  return all.filter((stack) => wanted.has(stack));
}

// ---- resources ----

type Properties = Readonly<Record<string, any>>;

/** A StreamJob's start-up check. Custom resources of others ask for services that are not emulated. */
const customType = "Custom::MillraceStartCheck";

const emulatedTypes: ReadonlySet<string> = new Set([
  "AWS::Kinesis::Stream",
  "AWS::DynamoDB::Table",
  "AWS::S3::Bucket",
  "AWS::SQS::Queue",
  "AWS::SNS::Topic",
  "AWS::SNS::Subscription",
  "AWS::Events::EventBus",
  "AWS::Events::Rule",
  "AWS::Lambda::Function",
  "AWS::Lambda::EventSourceMapping",
  "AWS::Scheduler::Schedule",
  customType,
]);

class Translation {
  readonly notActedOn = new Set<string>();
  readonly #code: ReadonlyMap<string, string>;
  readonly #streams: Record<string, StreamResource> = {};
  readonly #tables: Record<string, TableResource> = {};
  readonly #buckets: string[] = [];
  readonly #queues: Record<string, QueueResource> = {};
  readonly #topics = new Set<string>();
  /** By topic. */
  readonly #subscriptions = new Map<string, string[]>();
  readonly #eventBuses: string[] = [];
  readonly #rules: Record<string, RuleResource> = {};
  readonly #functions: Record<string, FunctionResource> = {};
  readonly #mappings: MappingResource[] = [];
  readonly #tableMappings: TableMappingResource[] = [];
  readonly #queueMappings: QueueMappingResource[] = [];
  readonly #schedules: Record<string, ScheduleResource> = {};
  readonly #customResources: Record<string, CustomResource> = {};

  constructor(code: ReadonlyMap<string, string>) {
    this.#code = code;
  }

  topology(): Topology {
    return {
      streams: this.#streams,
      tables: this.#tables,
      buckets: this.#buckets,
      queues: this.#queues,
      topics: Object.fromEntries([...this.#topics].map((name) => [name, { queues: this.#subscriptions.get(name) ?? [] }])),
      eventBuses: this.#eventBuses,
      rules: this.#rules,
      functions: this.#functions,
      eventSourceMappings: this.#mappings,
      tableMappings: this.#tableMappings,
      queueMappings: this.#queueMappings,
      schedules: this.#schedules,
      customResources: this.#customResources,
    };
  }

  take(type: string, name: string, properties: Properties): void {
    switch (type) {
      case "AWS::Kinesis::Stream":
        return this.#stream(type, name, properties);
      case "AWS::DynamoDB::Table":
        return this.#table(type, name, properties);
      case "AWS::S3::Bucket":
        this.#rest(type, properties, "BucketName");
        this.#buckets.push(name);
        return;
      case "AWS::SQS::Queue":
        return this.#queue(type, name, properties);
      case "AWS::SNS::Topic":
        this.#rest(type, properties, "TopicName", "FifoTopic");
        this.#topics.add(name);
        return;
      case "AWS::SNS::Subscription":
        return this.#subscription(type, properties);
      case "AWS::Events::EventBus":
        this.#rest(type, properties, "Name");
        this.#eventBuses.push(name);
        return;
      case "AWS::Events::Rule":
        return this.#rule(type, name, properties);
      case "AWS::Lambda::Function":
        return this.#function(type, name, properties);
      case "AWS::Lambda::EventSourceMapping":
        return this.#mapping(type, properties);
      case "AWS::Scheduler::Schedule":
        return this.#schedule(type, name, properties);
      case customType:
        return this.#customResource(type, name, properties);
    }
  }

  #rest(type: string, properties: Properties, ...actedOn: readonly string[]): void {
    for (const name of Object.keys(properties)) if (!actedOn.includes(name)) this.notActedOn.add(`${type}.${name}`);
  }

  #stream(type: string, name: string, own: Properties): void {
    this.#rest(type, own, "Name", "ShardCount", "RetentionPeriodHours", "MaxRecordSizeInKiB");
    this.#streams[name] = present({
      shardCount: own.ShardCount ?? onDemandShards,
      retentionPeriodHours: own.RetentionPeriodHours,
      maxRecordSizeInKiB: own.MaxRecordSizeInKiB,
    });
  }

  #table(type: string, name: string, own: Properties): void {
    this.#rest(type, own, "TableName", "KeySchema", "AttributeDefinitions", "StreamSpecification");
    const keyOf = (role: string) => {
      const key = own.KeySchema.find(({ KeyType }: Properties) => KeyType === role)?.AttributeName;
      const type = own.AttributeDefinitions.find(({ AttributeName }: Properties) => AttributeName === key)?.AttributeType;
      return key === undefined ? undefined : { name: key, type };
    };
    this.#tables[name] = present({
      partitionKey: keyOf("HASH")!,
      sortKey: keyOf("RANGE"),
      streamViewType: own.StreamSpecification?.StreamViewType,
    });
  }

  #function(type: string, name: string, own: Properties): void {
    this.#rest(
      type,
      own,
      "FunctionName",
      "Code",
      "Handler",
      "Environment",
      "MemorySize",
      "Timeout",
      "ReservedConcurrentExecutions",
    );
    const codeDirectory = this.#code.get(own.Code?.S3Key);
    if (codeDirectory === undefined)
      throw new MillraceError("invalid", `the assembly does not have the code of function ${name}: ${JSON.stringify(own.Code)}`);
    this.#functions[name] = present({
      codeDirectory,
      handler: own.Handler,
      environment: own.Environment?.Variables,
      memorySize: own.MemorySize,
      timeout: own.Timeout,
      reservedConcurrentExecutions: own.ReservedConcurrentExecutions,
    });
  }

  #queue(type: string, name: string, own: Properties): void {
    this.#rest(type, own, "QueueName", "FifoQueue", "MaximumMessageSize", "ContentBasedDeduplication", "VisibilityTimeout");
    this.#queues[name] = present({
      maximumMessageSize: own.MaximumMessageSize,
      contentBasedDeduplication: own.ContentBasedDeduplication,
      visibilityTimeout: own.VisibilityTimeout,
    });
  }

  /** A queue gets messages as they were published; no other is told here. */
  #subscription(type: string, own: Properties): void {
    const { Protocol, RawMessageDelivery, TopicArn, Endpoint } = own;
    const isRaw = RawMessageDelivery === true || RawMessageDelivery === "true";
    this.#rest(
      type,
      own,
      "TopicArn",
      "Endpoint",
      ...(Protocol === "sqs" ? ["Protocol"] : []),
      ...(isRaw ? ["RawMessageDelivery"] : []),
    );
    if (Protocol !== "sqs") return;
    if (!isRaw) this.notActedOn.add(`${type}.RawMessageDelivery`);
    const topic = lastOf(TopicArn, ":");
    this.#subscriptions.set(topic, [...(this.#subscriptions.get(topic) ?? []), lastOf(Endpoint, ":")]);
  }

  /** Events by their pattern, to queues; what else sets a rule off, and what else is told, is not here. */
  #rule(type: string, name: string, own: Properties): void {
    const { EventBusName, EventPattern, State, Targets = [] } = own;
    this.#rest(type, own, "Name", "EventBusName", "EventPattern", "State", "Targets");
    const queues: string[] = [];
    for (const { Arn, ...more } of Targets as Properties[]) {
      for (const inner of Object.keys(more)) this.notActedOn.add(`${type}.Targets.${inner}`);
      const service = String(Arn).split(":")[2]!;
      if (service === "sqs") queues.push(lastOf(Arn, ":"));
      else this.notActedOn.add(`${type}.Targets.Arn (${service})`);
    }
    if (EventPattern === undefined) return;
    const eventBusName = EventBusName === undefined ? undefined : lastOf(EventBusName, "/");
    this.#rules[name] = { eventPattern: EventPattern, queues, ...present({ eventBusName, state: State }) };
  }

  #mapping(type: string, own: Properties): void {
    const source = own.EventSourceArn === undefined ? "selfManaged" : String(own.EventSourceArn).split(":")[2]!;
    if (source === "sqs") return this.#queueMapping(type, own);
    if (source !== "kinesis" && source !== "dynamodb") {
      // What nothing here can bring is not brought.
      this.notActedOn.add(`${type}.EventSourceArn (${source})`);
      return;
    }
    const { FunctionName, EventSourceArn, Enabled, DestinationConfig, FilterCriteria, ...settings } = own;
    const taken = Object.keys(settings).filter((name) => mappingSettings.has(name));
    const destination = DestinationConfig?.OnFailure?.Destination;
    const onFailure = /^arn:aws:s3:::(.+)$/.exec(destination ?? "")?.[1];
    // What is discarded goes to buckets alone.
    const told = destination === undefined || onFailure !== undefined ? ["DestinationConfig"] : [];
    this.#rest(type, own, "FunctionName", "EventSourceArn", "Enabled", "FilterCriteria", ...told, ...taken);
    const filters = FilterCriteria?.Filters?.map(({ Pattern }: Properties) => ({ pattern: Pattern as string }));
    const mapping: Omit<MappingResource, "streamName"> = {
      ...(Object.fromEntries(taken.map((name) => [camelCase(name), settings[name]])) as unknown as MappingResource),
      functionName: lastOf(FunctionName, ":"),
      ...present({
        enabled: Enabled,
        onFailure: onFailure === undefined ? undefined : { bucket: onFailure },
        filterCriteria: filters === undefined ? undefined : { filters },
      }),
    };
    if (source === "kinesis") this.#mappings.push({ ...mapping, streamName: lastOf(EventSourceArn, "/") });
    else this.#tableMappings.push({ ...mapping, tableName: /:table\/([^/]+)\/stream\//.exec(EventSourceArn)![1]! });
  }

  #queueMapping(type: string, own: Properties): void {
    const {
      FunctionName,
      EventSourceArn,
      Enabled,
      BatchSize,
      MaximumBatchingWindowInSeconds,
      FunctionResponseTypes,
      ScalingConfig,
    } = own;
    this.#rest(
      type,
      own,
      "FunctionName",
      "EventSourceArn",
      "Enabled",
      "BatchSize",
      "MaximumBatchingWindowInSeconds",
      "FunctionResponseTypes",
      "ScalingConfig",
    );
    this.#queueMappings.push({
      functionName: lastOf(FunctionName, ":"),
      queueName: lastOf(EventSourceArn, ":"),
      ...present({
        enabled: Enabled,
        batchSize: BatchSize,
        maximumBatchingWindowInSeconds: MaximumBatchingWindowInSeconds,
        functionResponseTypes: FunctionResponseTypes,
        maximumConcurrency: ScalingConfig?.MaximumConcurrency,
      }),
    });
  }

  #customResource(type: string, name: string, { ServiceToken, ServiceTimeout, ...properties }: Properties): void {
    if (ServiceTimeout !== undefined) this.notActedOn.add(`${type}.ServiceTimeout`);
    this.#customResources[name] = { type, functionName: lastOf(ServiceToken, ":"), properties };
  }

  #schedule(type: string, name: string, own: Properties): void {
    const { Target = {}, ScheduleExpression, State } = own;
    this.#rest(type, own, "Name", "ScheduleExpression", "State", "Target");
    for (const inner of Object.keys(Target))
      if (inner !== "Arn" && inner !== "Input") this.notActedOn.add(`${type}.Target.${inner}`);
    this.#schedules[name] = present({
      scheduleExpression: ScheduleExpression,
      functionName: lastOf(Target.Arn, ":"),
      state: State,
      input: Target.Input === undefined ? undefined : (JSON.parse(Target.Input) as unknown),
    });
  }
}

/** With which a stream on demand begins. */
const onDemandShards = 4;

const mappingSettings: ReadonlySet<string> = new Set([
  "BatchSize",
  "MaximumBatchingWindowInSeconds",
  "StartingPosition",
  "StartingPositionTimestamp",
  "ParallelizationFactor",
  "MaximumRetryAttempts",
  "MaximumRecordAgeInSeconds",
  "BisectBatchOnFunctionError",
  "FunctionResponseTypes",
  "TumblingWindowInSeconds",
]);

function camelCase(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}

function lastOf(text: string, separator: string): string {
  return text.slice(text.lastIndexOf(separator) + 1);
}
