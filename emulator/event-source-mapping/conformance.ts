/**
 * What AWS documents of event source mappings for Kinesis, and what this one does: the table of README.md, as data. Each row names the
 * test that holds it; conformance.test.ts holds the rows to the tests and the README to the rows.
 */

/** Pages of AWS's documentation, as of November 2026. */
export const pages = {
  kinesis: "https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html",
  mapping: "https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html",
  create: "https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-create.html",
  parameters: "https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html",
  api: "https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html",
  failure: "https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html",
  partial: "https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html",
  windows: "https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-windows.html",
  filtering: "https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis-filtering.html",
  patterns: "https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html",
  metrics: "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html",
  resharding: "https://docs.aws.amazon.com/streams/latest/dev/kinesis-using-sdk-java-after-resharding.html",
} as const;

export interface ConformanceRow {
  readonly area: string;
  /** What AWS says; `page` where. Without a page AWS says nothing, and `documented` is the question. */
  readonly documented: string;
  readonly page?: keyof typeof pages;
  /** What this does; "the same" needs no more words. */
  readonly here: string;
  /** File in test/emulator/event-source-mapping without ".test.ts", and the test's name. */
  readonly test: readonly [file: string, name: string];
}

const same = "the same";

export const conformance: readonly ConformanceRow[] = [
  // Polling and batches
  {
    area: "polling",
    documented: "a shard is polled once a second while nothing is there",
    page: "kinesis",
    here: same,
    test: ["batching", "is once a second for each shard while nothing is there"],
  },
  {
    area: "polling",
    documented: "with more to read, it goes on until it has caught up",
    page: "kinesis",
    here: "at most five reads a second, a shard's limit",
    test: ["batching", "goes on at once while more is there, at most five times a second"],
  },
  {
    area: "polling",
    documented: "what happens when an iterator expires?",
    here: "another is asked for, after the last record that was read",
    test: ["batching", "goes on after the last record when an iterator expired"],
  },
  {
    area: "batch",
    documented: "at most BatchSize records, 1 to 10,000, by default 100",
    page: "parameters",
    here: same,
    test: ["batching", "have 100 records by default"],
  },
  {
    area: "batch",
    documented: "records of one shard alone",
    page: "kinesis",
    here: same,
    test: ["events", "has records of one shard alone"],
  },
  {
    area: "batch",
    documented: "one batch of a shard at a time",
    page: "kinesis",
    here: same,
    test: ["batching", "one batch of a shard is under way at a time, shards do not wait for each other"],
  },
  {
    area: "batch",
    documented: "without a window records are sent as soon as they are there",
    page: "kinesis",
    here: same,
    test: ["batching", "are sent as soon as records are there, without a window"],
  },
  {
    area: "batch",
    documented: "a window of 0 to 300 s gathers records; it ends early when the batch is full",
    page: "mapping",
    here: same,
    test: ["batching", "do not wait for a window when they are full"],
  },
  {
    area: "batch",
    documented: "the next window begins as soon as the previous invocation ends",
    page: "mapping",
    here: "the same; one that passes without a record is followed by one that begins with the next record",
    test: ["batching", "the next window opens when the invocation ends"],
  },
  {
    area: "batch",
    documented: "a payload of 6 MB cuts the batch",
    page: "mapping",
    here: "the event as JSON, base64 included, has at most 6,291,456 bytes",
    test: ["batching", "reach 6 MB to the byte"],
  },
  {
    area: "batch",
    documented: "what becomes of a record whose event alone is above 6 MB?",
    here: "it cannot be sent, so it is tried until it is too old, as with other troubles before an invocation",
    test: ["retries", "a record whose event is above 6 MB blocks its shard until it is too old, and is no attempt"],
  },
  {
    area: "event",
    documented: "the fields of a Kinesis event",
    page: "kinesis",
    here: same,
    test: ["events", "has the fields of a Kinesis event, and no other"],
  },
  // Failures
  {
    area: "retries",
    documented: "a batch that fails is retried as a whole, and its shard waits",
    page: "kinesis",
    here: same,
    test: ["retries", "gets the whole batch again, and its shard nothing else, until it succeeds"],
  },
  {
    area: "retries",
    documented: "by default until success or expiry",
    page: "failure",
    here: same,
    test: ["retries", "without one, retries end when the records expire in the stream"],
  },
  {
    area: "retries",
    documented: "MaximumRetryAttempts from −1 to 10,000; then the batch is discarded and the shard goes on",
    page: "failure",
    here: same,
    test: ["retries", "is retried as often as the settings say, then the batch is discarded and the shard goes on"],
  },
  {
    area: "retries",
    documented: "throttling and other troubles before the invocation use no attempt",
    page: "failure",
    here: same,
    test: ["retries", "throttling is retried and is no attempt"],
  },
  {
    area: "retries",
    documented: "how long are the pauses between retries?",
    here: "exponential from 1 s to 60 s with jitter, by `timings`",
    test: ["retries", "pauses grow between retries, up to a bound"],
  },
  {
    area: "retries",
    documented: "what does a function do after its time-out?",
    here: "its environment goes on as a zombie, by `zombieMsMax`, while the batch is retried in another",
    test: ["retries", "a batch that timed out is retried while the zombie of its first attempt still has effects"],
  },
  {
    area: "age",
    documented: "records above MaximumRecordAge, 60 s to 7 days, are not sent but discarded",
    page: "failure",
    here: "each record by itself: younger ones of the batch are sent",
    test: ["retries", "records above the maximum age are discarded without an invocation"],
  },
  {
    area: "age",
    documented: "retries end with the maximum age, throttling too",
    page: "failure",
    here: same,
    test: ["retries", "throttling goes on until the maximum age"],
  },
  {
    area: "bisection",
    documented: "a failed batch is split in two and retried; splitting uses no retry quota",
    page: "failure",
    here: "the same; the quota is spent on records that are alone",
    test: ["retries", "halves a batch until the bad record is alone; halving is no retry"],
  },
  {
    area: "bisection",
    documented: "the original batch size stays as it is",
    page: "kinesis",
    here: same,
    test: ["retries", "leaves the batch size as it was"],
  },
  {
    area: "bisection",
    documented: "a failed invocation bisects whatever ReportBatchItemFailures says",
    page: "partial",
    here: same,
    test: ["retries", "a failed invocation is bisected whatever the response types are"],
  },
  {
    area: "bisection",
    documented: "with a partial response the batch is cut at the reported record and the rest is retried",
    page: "partial",
    here: "the same; where the first record is reported, and so nothing is cut off, the batch is halved",
    test: ["retries", "with bisection the batch is cut at the reported record, which is no retry"],
  },
  {
    area: "partial response",
    documented: "not looked at without ReportBatchItemFailures",
    page: "partial",
    here: same,
    test: ["retries", "are not looked at unless the mapping says so"],
  },
  {
    area: "partial response",
    documented: "the lowest sequence number is the checkpoint; from it on all is retried",
    page: "partial",
    here: same,
    test: ["retries", "the lowest sequence number is the checkpoint: it and all after it come again"],
  },
  {
    area: "partial response",
    documented: "an empty or null list, an empty or null response: success",
    page: "partial",
    here: same,
    test: ["function-response", "an empty or null list, an empty or null response are success"],
  },
  {
    area: "partial response",
    documented: "an empty or null itemIdentifier, or a bad key name: failure of the batch",
    page: "partial",
    here: same,
    test: ["function-response", "an empty or null identifier, or none under its name, is failure of the whole batch"],
  },
  {
    area: "partial response",
    documented: "an identifier of no record of the batch?",
    here: "failure of the batch",
    test: ["function-response", "an identifier that is not of the batch is failure of the whole batch"],
  },
  {
    area: "partial response",
    documented: "an answer that is no object?",
    here: "failure of the batch",
    test: ["function-response", "an answer that is no object or no JSON, or whose list is no list, is failure"],
  },
  {
    area: "partial response",
    documented: "do progress and retries add up?",
    here: "yes: what is left keeps the attempts of its batch, and is discarded as one without bisection",
    test: ["retries", "without bisection the retries are of the whole rest, which is discarded as one"],
  },
  {
    area: "destination",
    documented: "SQS and SNS get the invocation record without the records",
    page: "failure",
    here: "the same; RecordAgeExceeded is the condition of records too old, which the page does not show",
    test: ["on-failure", "gets what identifies the records, and not the records"],
  },
  {
    area: "destination",
    documented: "S3 gets the event as an escaped string too, under aws/lambda/<mapping>/<shard>/YYYY/MM/DD/…",
    page: "failure",
    here: same,
    test: ["on-failure", "gets the whole event too, as a string, under a key of mapping, shard and time"],
  },
  {
    area: "destination",
    documented: "with bisection an invocation record may stand for several failed batches",
    page: "api",
    here: "neighbours share one with `faults.joinsDiscards`",
    test: ["on-failure", "share one where they are neighbours, with joinsDiscards"],
  },
  {
    area: "destination",
    documented: "what if the destination cannot be reached?",
    here: "the delivery is counted as failed, and the shard goes on",
    test: ["on-failure", "a destination that refuses is counted, and the shard goes on"],
  },
  // Shards
  {
    area: "parallelization",
    documented: "1 to 10 batches of a shard at once, in order for each partition key",
    page: "kinesis",
    here: same,
    test: ["shards", "has so many batches of a shard under way, each key in one of them at most, in order"],
  },
  {
    area: "parallelization",
    documented: "does a failing batch hold up the others of its shard?",
    here: "not until as much is read ahead as the mapping keeps; the checkpoint waits",
    test: ["shards", "a key that fails does not hold up the others; the checkpoint waits for it"],
  },
  {
    area: "resharding",
    documented: "consumers of Kinesis are asked to finish parents before children; Lambda's pages promise nothing",
    page: "resharding",
    here: 'children are read as soon as they are found; `shardOrder: "parentsFirst"` makes them wait',
    test: ["shards", "children may be read before their parent has ended"],
  },
  {
    area: "resharding",
    documented: "all shards are read to their end",
    page: "kinesis",
    here: same,
    test: ["shards", "children are found and read to the end, after a split and a merge"],
  },
  {
    area: "starting position",
    documented: "TRIM_HORIZON, LATEST, AT_TIMESTAMP",
    page: "create",
    here: "the same; LATEST reads shards that appear later from their start",
    test: ["shards", "AT_TIMESTAMP: what arrived then or later"],
  },
  {
    area: "starting position",
    documented: "polling begins minutes after creation, 90 s after an update; LATEST may miss records then",
    page: "create",
    here: "after `timings.transitionMs`",
    test: ["shards", "LATEST misses what comes while polling is not under way yet, the others do not"],
  },
  {
    area: "state",
    documented: "disabled it stops; enabled again it goes on after the last record processed",
    page: "kinesis",
    here: same,
    test: ["shards", "a mapping is creating, then enabled; disabled it polls nothing and goes on from its checkpoint"],
  },
  {
    area: "settings",
    documented: "ranges and defaults",
    page: "api",
    here: "the same; refused when the mapping is made",
    test: ["shards", "settings outside AWS's ranges are refused with the name"],
  },
  {
    area: "delivery",
    documented: "each record at least once; duplicates can occur",
    page: "mapping",
    here: "duplicates by `faults.duplicateChance`",
    test: ["shards", "duplicates: batches come twice, and what comes of the second changes nothing"],
  },
  {
    area: "delivery",
    documented: "records that are processed again may come out of order",
    page: "windows",
    here: "by `faults.goBackChance`",
    test: ["shards", "going back: records that were delivered come again, in other batches, in order"],
  },
  {
    area: "delivery",
    documented: "in order the first time, never skipped",
    page: "windows",
    here: same,
    test: ["properties", "every record is delivered in order or sent to the destination, never skipped"],
  },
  {
    area: "metrics",
    documented: "counts of records polled, filtered out, invoked, failed, dropped, delivered to the destination",
    page: "metrics",
    here: "`mapping.metrics`, under the same names; throttled records count as neither invoked nor failed",
    test: ["on-failure", "the counts add up"],
  },
  // Filters
  {
    area: "filters",
    documented: "up to five, ten by quota, joined by OR",
    page: "patterns",
    here: "up to ten",
    test: ["filters", "delivers what one of them matches; the checkpoint passes the rest"],
  },
  {
    area: "filters",
    documented: "Kinesis filters on the data key alone, whose pattern must be JSON",
    page: "filtering",
    here: "other keys are refused",
    test: ["filters", "what AWS refuses is refused when the mapping is made"],
  },
  {
    area: "filters",
    documented: "data that is no JSON is dropped",
    page: "filtering",
    here: "the same; JSON that is no object too",
    test: ["filters", "data that is no JSON, or no object, matches nothing"],
  },
  {
    area: "filters",
    documented: "applied to each record before it joins a batch",
    page: "patterns",
    here: same,
    test: ["filters", "filters before it gathers: a batch is full of matching records, and none is sent without any"],
  },
  {
    area: "filters",
    documented: "numbers are compared as strings: 300 is not 3.0e2",
    page: "patterns",
    here: "for equality; `numeric` compares values",
    test: ["filters", "numbers are equal as they are written"],
  },
  {
    area: "filters",
    documented: "operators: null, empty, equals",
    page: "patterns",
    here: same,
    test: ["filters", "null, empty and equals"],
  },
  {
    area: "filters",
    documented: "operators: equals, ignoring case",
    page: "patterns",
    here: same,
    test: ["filters", "equals, ignoring case"],
  },
  {
    area: "filters",
    documented: "operators: AND over fields, OR over rules",
    page: "patterns",
    here: same,
    test: ["filters", "and, or"],
  },
  {
    area: "filters",
    documented: "operators: $or over fields",
    page: "patterns",
    here: same,
    test: ["filters", "or over several fields"],
  },
  {
    area: "filters",
    documented: "operators: anything-but",
    page: "patterns",
    here: "the same; of plain strings and numbers",
    test: ["filters", "anything but"],
  },
  {
    area: "filters",
    documented: "operators: numeric, one bound or two",
    page: "patterns",
    here: same,
    test: ["filters", "numeric ranges"],
  },
  {
    area: "filters",
    documented: "operators: exists, does not exist",
    page: "patterns",
    here: same,
    test: ["filters", "exists and does not exist, of leaves"],
  },
  {
    area: "filters",
    documented: "operators: prefix, suffix",
    page: "patterns",
    here: same,
    test: ["filters", "begins with, ends with"],
  },
  // Tumbling windows
  {
    area: "tumbling windows",
    documented: "state goes from invocation to invocation; at the end isFinalInvokeForWindow; then it is dropped",
    page: "windows",
    here: "the last invocation has no records",
    test: ["windows", "hands the state on, ends with an invocation of its own, and the next begins with none"],
  },
  {
    area: "tumbling windows",
    documented: "the fields of the windowed event",
    page: "windows",
    here: same,
    test: ["windows", "is told in the event, with shard and stream"],
  },
  {
    area: "tumbling windows",
    documented: "bounds are of the time of arrival",
    page: "windows",
    here: "from multiples of the length since 1970",
    test: ["windows", "is the one of the time of arrival: no batch spans two"],
  },
  {
    area: "tumbling windows",
    documented: "without new records Lambda waits up to two minutes before a window is over",
    page: "windows",
    here: "two minutes after its end, by `timings.windowIdleMs`",
    test: ["windows", "waits two minutes after its end for records that do not come"],
  },
  {
    area: "tumbling windows",
    documented: "a response without a state is a failed invocation",
    page: "windows",
    here: "the last one's too",
    test: ["windows", "a response without a state is a failed invocation"],
  },
  {
    area: "tumbling windows",
    documented: "a state above 1 MB ends the window early",
    page: "windows",
    here: "an invocation with the state and isWindowTerminatedEarly, not final; the window goes on with {}",
    test: ["windows", "ends early when its state is above 1 MB, and goes on with none"],
  },
  {
    area: "tumbling windows",
    documented: "a shard's end closes its window; children begin with none",
    page: "windows",
    here: same,
    test: ["windows", "ends when its shard ends; the children begin with none"],
  },
  {
    area: "tumbling windows",
    documented: "when the last invocation fails, processing waits for it",
    page: "windows",
    here: same,
    test: ["windows", "waits with all that follows until its last invocation succeeds"],
  },
  {
    area: "tumbling windows",
    documented: "retry quota and record age hold as ever",
    page: "windows",
    here: "of a last invocation given up the destination is told the window's records with batchSize 0",
    test: ["windows", "its last invocation has the retry quota and the record age, too"],
  },
  {
    area: "tumbling windows",
    documented: "a partial response: is its state kept?",
    here: "yes, since what it covers does not come again",
    test: ["windows", "keeps the state of a partial response: what it covers does not come again"],
  },
];

/** The rows as Markdown. */
export function conformanceTable(): string {
  const lines = conformance.map(({ area, documented, page, here, test: [file, name] }) => {
    const said = page === undefined ? `_not documented:_ ${documented}` : `${documented} ([${page}](${pages[page]}))`;
    return `| ${area} | ${said} | ${here} | ${file}: ${name} |`;
  });
  return ["| | AWS | here | test |", "| --- | --- | --- | --- |", ...lines].join("\n");
}
