/** The runtime half of all sinks of a job on one machine: by operator, whatever its kind. */
import { join, resolve } from "node:path";
import type { Writable } from "node:stream";
import type { Sink } from "../api/connector.ts";
import { MillraceError } from "../base/errors.ts";
import type { OperatorUid } from "../base/ids.ts";
import type { Telemetry } from "../ports/telemetry.ts";
import { bindingOf, type Bindings } from "./bindings.ts";
import { ConsoleWriter } from "./console/writer.ts";
import type { CustomSink } from "./custom/custom-sink.ts";
import { CustomWriter } from "./custom/writer.ts";
import { DeadLetterFiles } from "./dead-letters.ts";
import { filePlaceOf } from "./files/file-place.ts";
import { FileWriter } from "./files/writer.ts";
import { HttpChannel } from "./http/http-channel.ts";
import type { HttpSettings } from "./http/http-settings.ts";
import type { HttpSink } from "./http/http-sink.ts";
import { MessageFiles } from "./messages/message-files.ts";
import { linesOf } from "./messages/message-lines.ts";
import { MessageLinesOnConsole } from "./messages/message-lines-on-console.ts";
import { messagePlaceOf } from "./messages/message-place.ts";
import { MessageTarget } from "./messages/message-target.ts";
import type { Pace } from "./pace.ts";
import type { SinkTarget } from "./sink-target.ts";
import { claimNames, SinkTargets } from "./sink-targets.ts";

export interface LocalSinksOptions {
  /** The job's name, for the ids of messages. */
  readonly job: string;
  readonly sinks: ReadonlyMap<OperatorUid, Sink<any, any>>;
  readonly bindings: Bindings;
  /** What relative paths of sinks are relative to; dead letters go to `dead-letters/` in it. */
  readonly outputDirectory: string;
  /** Where console sinks write, as `process.stdout`. */
  readonly console: Writable;
  readonly pace: Pace;
  readonly telemetry: Telemetry;
  /** As `FileWriterOptions.durable`. */
  readonly durable?: boolean;
}

export class LocalSinks extends SinkTargets {
  /** Throws `invalid` for a sink that is not written on one machine, and for two sinks whose files would bear the same names. */
  constructor(options: LocalSinksOptions) {
    const deadLetters = new DeadLetterFiles(join(options.outputDirectory, "dead-letters"));
    super(createTargets(options, deadLetters), deadLetters);
  }
}

function createTargets(options: LocalSinksOptions, deadLetters: DeadLetterFiles): ReadonlyMap<OperatorUid, SinkTarget> {
  const console = new ConsoleWriter(options.console);
  const takenBy = new Map<string, OperatorUid>();
  const targetOf = (operator: OperatorUid, sink: Sink<any, any>): SinkTarget => {
    if (sink.kind === "console") return console;
    if (sink.kind === "custom") return new CustomWriter(operator, (sink as CustomSink<any, any>).functions);
    return (
      createFileWriter(operator, sink, options, takenBy) ??
      createHttpTarget(operator, sink, options, deadLetters) ??
      createMessageTarget(operator, sink, options, console)
    );
  };
  return new Map([...options.sinks].map(([operator, sink]) => [operator, targetOf(operator, sink)]));
}

function createFileWriter(
  operator: OperatorUid,
  sink: Sink<any, any>,
  { bindings, outputDirectory, durable = true }: LocalSinksOptions,
  takenBy: Map<string, OperatorUid>,
): FileWriter | undefined {
  const place = filePlaceOf(operator, sink, bindings);
  if (place === undefined) return undefined;
  const { prefix, extension, assemble } = place;
  const directory = resolve(outputDirectory, place.directory);
  claimNames(takenBy, `${directory}/${prefix}*`, operator);
  return new FileWriter({ directory, naming: { prefix, extension }, assemble, durable });
}

/** Requests leave this machine where someone bound the endpoint to a URL, and only there. */
function createHttpTarget(
  operator: OperatorUid,
  sink: Sink<any, any>,
  { job, bindings, pace, telemetry }: LocalSinksOptions,
  deadLetters: DeadLetterFiles,
): MessageTarget | undefined {
  const [url] = bindingOf(bindings, operator, sink.name) ?? [];
  if (sink.kind !== "http" || url === undefined || !/^https?:/i.test(url)) return undefined;
  const channel = new HttpChannel(url, sink.options as unknown as HttpSettings, (sink as HttpSink<any>).functions);
  return new MessageTarget({ job, operator, channel, pace, telemetry, deadLetters });
}

function createMessageTarget(
  operator: OperatorUid,
  sink: Sink<any, any>,
  { job, bindings, outputDirectory, durable = true }: LocalSinksOptions,
  console: ConsoleWriter,
): SinkTarget {
  const toLines = linesOf(job, sink);
  if (toLines === undefined) throw notLocal(operator, sink);
  const place = messagePlaceOf(operator, sink, bindings);
  if (place === "-") return new MessageLinesOnConsole(console, toLines);
  return new MessageFiles({ directory: resolve(outputDirectory, place), operator, toLines, durable });
}

function notLocal(operator: OperatorUid, { kind }: Sink<any, any>): MillraceError {
  const message = `a sink of kind ${kind} is not written on one machine: use fileSink(), s3(), consoleSink() or customSink() here: ${operator}`;
  return new MillraceError("invalid", message, { context: { operator } });
}
