/**
 * The settings of a mapping: names, ranges and defaults are CreateEventSourceMapping's, in camel case.
 *
 * Source: https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html and …/dg/services-kinesis-parameters.html
 */
import { MillraceError } from "../../runtime/base/errors.ts";
import { compileFilters } from "./filter-pattern.ts";

export interface MappingSettings {
  /** Records, 1 to 10,000; default 100. */
  readonly batchSize?: number;
  /** 0 to 300, whole; default 0. */
  readonly maximumBatchingWindowInSeconds?: number;
  readonly startingPosition: "TRIM_HORIZON" | "LATEST" | "AT_TIMESTAMP";
  /** Epoch seconds; with AT_TIMESTAMP, and only then. */
  readonly startingPositionTimestamp?: number;
  /** Batches of one shard at a time, 1 to 10; default 1. */
  readonly parallelizationFactor?: number;
  /** −1 (without end) to 10,000; default −1. */
  readonly maximumRetryAttempts?: number;
  /** −1 (without end), or 60 to 604,800; default −1. */
  readonly maximumRecordAgeInSeconds?: number;
  /** Default false. */
  readonly bisectBatchOnFunctionError?: boolean;
  /** Default none. */
  readonly functionResponseTypes?: readonly "ReportBatchItemFailures"[];
  /** 0 (none) to 900; default 0. */
  readonly tumblingWindowInSeconds?: number;
  /** At most five by default, ten by an account's quota. */
  readonly filterCriteria?: { readonly filters: readonly { readonly pattern: string }[] };
}

/** With every default filled in. */
export interface CheckedSettings {
  readonly batchSize: number;
  readonly batchingWindowMs: number;
  readonly startingPosition: MappingSettings["startingPosition"];
  /** Epoch milliseconds. */
  readonly startingTimestamp: number | undefined;
  readonly parallelizationFactor: number;
  readonly maximumRetryAttempts: number;
  /** Infinity without one. */
  readonly maximumRecordAgeMs: number;
  readonly bisects: boolean;
  readonly reportsItemFailures: boolean;
  /** 0: none. */
  readonly tumblingWindowMs: number;
  /** Undefined: every record is delivered. */
  readonly filter: ((data: Uint8Array) => boolean) | undefined;
}

/** Throws `invalid` where AWS refuses to create the mapping. */
export function checkSettings(settings: MappingSettings): CheckedSettings {
  const age = settings.maximumRecordAgeInSeconds ?? -1;
  const factor = whole("parallelizationFactor", settings.parallelizationFactor ?? 1, 1, 10);
  const window = whole("tumblingWindowInSeconds", settings.tumblingWindowInSeconds ?? 0, 0, 900);
  if (age !== -1) whole("maximumRecordAgeInSeconds", age, 60, 604_800);
  if (window > 0 && factor > 1) {
    throw new MillraceError("invalid", `tumbling windows need a parallelizationFactor of 1: ${factor}`);
  }
  const window0 = whole("maximumBatchingWindowInSeconds", settings.maximumBatchingWindowInSeconds ?? 0, 0, 300);
  return {
    batchSize: whole("batchSize", settings.batchSize ?? 100, 1, 10_000),
    batchingWindowMs: window0 * 1000,
    ...checkStart(settings),
    parallelizationFactor: factor,
    maximumRetryAttempts: whole("maximumRetryAttempts", settings.maximumRetryAttempts ?? -1, -1, 10_000),
    maximumRecordAgeMs: age === -1 ? Infinity : age * 1000,
    bisects: settings.bisectBatchOnFunctionError ?? false,
    reportsItemFailures: listed("functionResponseTypes", settings.functionResponseTypes).includes("ReportBatchItemFailures"),
    tumblingWindowMs: window * 1000,
    filter: compileFilters(listed("filterCriteria", settings.filterCriteria?.filters).map(patternOf)),
  };
}

function listed<T>(name: keyof MappingSettings, list: readonly T[] | undefined): readonly T[] {
  if (list === undefined || Array.isArray(list)) return list ?? [];
  throw new MillraceError("invalid", `${name} is a list: ${JSON.stringify(list)}`);
}

function patternOf(filter: { readonly pattern: string } | null): string {
  if (typeof filter?.pattern === "string") return filter.pattern;
  throw new MillraceError("invalid", `a filter has a pattern, which is text: ${JSON.stringify(filter)}`);
}

function checkStart(settings: MappingSettings): Pick<CheckedSettings, "startingPosition" | "startingTimestamp"> {
  const { startingPosition, startingPositionTimestamp: timestamp } = settings;
  if (!["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"].includes(startingPosition)) {
    throw new MillraceError("invalid", `startingPosition is TRIM_HORIZON, LATEST or AT_TIMESTAMP: ${String(startingPosition)}`);
  }
  if ((startingPosition === "AT_TIMESTAMP") !== (timestamp !== undefined)) {
    throw new MillraceError(
      "invalid",
      `startingPositionTimestamp goes with AT_TIMESTAMP alone: ${startingPosition}, ${timestamp}`,
    );
  }
  return { startingPosition, startingTimestamp: timestamp === undefined ? undefined : timestamp * 1000 };
}

function whole(name: keyof MappingSettings, value: number, from: number, to: number): number {
  if (Number.isInteger(value) && value >= from && value <= to) return value;
  throw new MillraceError("invalid", `${name} is a whole number from ${from} to ${to}: ${value}`);
}
