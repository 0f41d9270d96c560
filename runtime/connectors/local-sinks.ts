/** The runtime half of all sinks of a job on one machine: by operator, whatever its kind. */
import { join, resolve } from "node:path";
import type { Writable } from "node:stream";
import type { Sink } from "../api/connector.ts";
import { MillraceError } from "../base/errors.ts";
import type { OperatorUid } from "../base/ids.ts";
import type { Bindings } from "./bindings.ts";
import { ConsoleWriter } from "./console/writer.ts";
import type { CustomSink } from "./custom/custom-sink.ts";
import { CustomWriter } from "./custom/writer.ts";
import { DeadLetterFiles } from "./dead-letters.ts";
import { filePlaceOf } from "./files/file-place.ts";
import { FileWriter } from "./files/writer.ts";
import type { SinkTarget } from "./sink-target.ts";
import { claimNames, SinkTargets } from "./sink-targets.ts";

export interface LocalSinksOptions {
  readonly sinks: ReadonlyMap<OperatorUid, Sink<any, any>>;
  readonly bindings: Bindings;
  /** What relative paths of sinks are relative to; dead letters go to `dead-letters/` in it. */
  readonly outputDirectory: string;
  /** Where console sinks write, as `process.stdout`. */
  readonly console: Writable;
  /** As `FileWriterOptions.durable`. */
  readonly durable?: boolean;
}

export class LocalSinks extends SinkTargets {
  /** Throws `invalid` for a sink that is not written on one machine, and for two sinks whose files would bear the same names. */
  constructor(options: LocalSinksOptions) {
    super(createTargets(options), new DeadLetterFiles(join(options.outputDirectory, "dead-letters")));
  }
}

function createTargets(options: LocalSinksOptions): ReadonlyMap<OperatorUid, SinkTarget> {
  const targets = new Map<OperatorUid, SinkTarget>();
  let console: ConsoleWriter | undefined;
  const takenBy = new Map<string, OperatorUid>();
  for (const [operator, sink] of options.sinks) {
    if (sink.kind === "console") targets.set(operator, (console ??= new ConsoleWriter(options.console)));
    else if (sink.kind === "custom") targets.set(operator, new CustomWriter(operator, (sink as CustomSink<any, any>).functions));
    else targets.set(operator, createFileWriter(operator, sink, options, takenBy));
  }
  return targets;
}

function createFileWriter(
  operator: OperatorUid,
  sink: Sink<any, any>,
  { bindings, outputDirectory, durable = true }: LocalSinksOptions,
  takenBy: Map<string, OperatorUid>,
): FileWriter {
  const place = filePlaceOf(operator, sink, bindings);
  if (place === undefined) throw notLocal(operator, sink);
  const { prefix, extension, assemble } = place;
  const directory = resolve(outputDirectory, place.directory);
  claimNames(takenBy, `${directory}/${prefix}*`, operator);
  return new FileWriter({ directory, naming: { prefix, extension }, assemble, durable });
}

function notLocal(operator: OperatorUid, { kind }: Sink<any, any>): MillraceError {
  const message = `a sink of kind ${kind} is not written on one machine: use fileSink(), s3(), consoleSink() or customSink() here: ${operator}`;
  return new MillraceError("invalid", message, { context: { operator } });
}
