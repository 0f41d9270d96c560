/**
 * What an emulated cloud consists of, as plain JSON: the resources of a deployment by their names. Fields have the names, units, ranges
 * and defaults of CloudFormation's properties, in camel case, so that a topology follows from a template field by field. README.md
 * shows one.
 */
import type { MappingSettings } from "../event-source-mapping/settings.ts";
import type { QueueMappingSettings } from "../messaging/queue-mapping.ts";
import type { StreamViewType } from "../dynamodb/table-streams.ts";
import type { BundleEntry } from "../../packaging/bundle.ts";

export interface Topology {
  /** Default "us-east-1". */
  readonly region?: string;
  /** Twelve digits; default "000000000000". */
  readonly account?: string;
  /** Executions of functions at once that the account has, as Lambda tells them; default 1,000. Only what functions reserve is enforced. */
  readonly accountConcurrency?: number;
  /** Kinesis streams by name. */
  readonly streams?: Readonly<Record<string, StreamResource>>;
  /** DynamoDB tables by name. */
  readonly tables?: Readonly<Record<string, TableResource>>;
  /** S3 buckets by name. */
  readonly buckets?: readonly string[];
  /** SQS' queues by name; FIFO where that ends with ".fifo". In memory. */
  readonly queues?: Readonly<Record<string, QueueResource>>;
  /** SNS' topics by name; FIFO where that ends with ".fifo". In memory. */
  readonly topics?: Readonly<Record<string, TopicResource>>;
  /** EventBridge's buses by name, beside the account's own, "default". */
  readonly eventBuses?: readonly string[];
  /** EventBridge's rules by name. */
  readonly rules?: Readonly<Record<string, RuleResource>>;
  /** Lambda functions by name. */
  readonly functions?: Readonly<Record<string, FunctionResource>>;
  readonly eventSourceMappings?: readonly MappingResource[];
  /** Mappings of tables' changes. */
  readonly tableMappings?: readonly TableMappingResource[];
  /** Mappings of queues. */
  readonly queueMappings?: readonly QueueMappingResource[];
  /** EventBridge Scheduler's schedules by name. */
  readonly schedules?: Readonly<Record<string, ScheduleResource>>;
  /** Custom resources by their ids: made before functions, mappings and schedules. */
  readonly customResources?: Readonly<Record<string, CustomResource>>;
}

export interface CustomResource {
  /** Such as "Custom::Check". */
  readonly type: string;
  /** Which is told of it: the service token's. */
  readonly functionName: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

export interface StreamResource {
  readonly shardCount: number;
  /** 24 to 8760; default 24. */
  readonly retentionPeriodHours?: number;
  /** 1024 to 10240; default 1024. */
  readonly maxRecordSizeInKiB?: number;
}

export interface TableResource {
  readonly partitionKey: KeyAttribute;
  readonly sortKey?: KeyAttribute;
  /** What its stream tells of a change; default: it has none. */
  readonly streamViewType?: StreamViewType;
}

export interface KeyAttribute {
  readonly name: string;
  /** Text, number or bytes. */
  readonly type: "S" | "N" | "B";
}

export interface QueueResource {
  /** Bytes, 1024 to 1048576, which is the default. */
  readonly maximumMessageSize?: number;
  /** Of FIFO queues. Default false. */
  readonly contentBasedDeduplication?: boolean;
  /** Seconds for which a message that was received is not received again, 0 to 43200; default 30. */
  readonly visibilityTimeout?: number;
}

export interface TopicResource {
  /** Queues of the topology that get what is published, as it was published. */
  readonly queues?: readonly string[];
}

export interface RuleResource {
  /** Default "default". */
  readonly eventBusName?: string;
  /** As EventBridge has it: `{ "source": ["shop.orders"] }`; with the operators that filters of a mapping have. */
  readonly eventPattern: Readonly<Record<string, unknown>>;
  /** Queues of the topology, FIFO apart, that are sent what matches. */
  readonly queues: readonly string[];
  /** Default "ENABLED". */
  readonly state?: "ENABLED" | "DISABLED";
}

export interface FunctionResource {
  /** A module that is bundled as for a deployment; or a folder that holds what is deployed. One of the two. */
  readonly entry?: BundleEntry;
  readonly codeDirectory?: string;
  /** Names that modules of the entry import, and the modules that they stand for. */
  readonly alias?: Readonly<Record<string, string>>;
  /** `file.export`; default "index.handler", which is what a bundle has. */
  readonly handler?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** MB, 128 to 10240; default 128. */
  readonly memorySize?: number;
  /** Seconds, 1 to 900; default 3. */
  readonly timeout?: number;
  /** Default: none but the account's 1,000. */
  readonly reservedConcurrentExecutions?: number;
}

export interface MappingResource extends MappingSettings {
  readonly functionName: string;
  readonly streamName: string;
  /** Default true. */
  readonly enabled?: boolean;
  /** Gets records that are discarded, with their payload. */
  readonly onFailure?: { readonly bucket: string };
}

export interface TableMappingResource extends Omit<MappingResource, "streamName"> {
  /** With a stream. */
  readonly tableName: string;
}

export interface QueueMappingResource extends QueueMappingSettings {
  readonly functionName: string;
  readonly queueName: string;
  /** Default true. */
  readonly enabled?: boolean;
}

export interface ScheduleResource {
  /** "rate(5 minutes)": minutes, hours or days. */
  readonly scheduleExpression: string;
  readonly functionName: string;
  /** The event, any JSON; default {}. */
  readonly input?: unknown;
  /** Default "ENABLED". */
  readonly state?: "ENABLED" | "DISABLED";
}
