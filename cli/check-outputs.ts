/** Refuses to begin a job where an earlier one has left results: both would stand beside each other, as if they were one. */
import { readdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { MillraceError } from "../runtime/base/errors.ts";
import type { Bindings } from "../runtime/connectors/bindings.ts";
import { filePlaceOf } from "../runtime/connectors/files/file-place.ts";
import { parsePartFileName, type PartNaming } from "../runtime/connectors/files/part-name.ts";
import { foldersIn } from "../runtime/connectors/files/writer.ts";
import { isMessageFile } from "../runtime/connectors/messages/message-files.ts";
import { linesOf } from "../runtime/connectors/messages/message-lines.ts";
import { messagePlaceOf } from "../runtime/connectors/messages/message-place.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";

interface Place {
  readonly output: string;
  readonly bindings?: Bindings;
}

/** Throws `invalid` when a directory that the job is about to write holds results already. */
export async function checkOutputs(job: JobGraph, { output, bindings = new Map() }: Place): Promise<void> {
  for (const { node } of job.operators.values()) {
    const place = node.spec.kind === "sink" ? filePlaceOf(node.uid, node.spec.sink, bindings) : undefined;
    if (place !== undefined) await checkEmpty(resolve(output, place.directory), place);
    else if (node.spec.kind === "sink" && linesOf(job.name, node.spec.sink) !== undefined)
      await checkNoMessages(resolve(output, messagePlaceOf(node.uid, node.spec.sink, bindings)), node.uid);
  }
  await checkEmpty(join(resolve(output), "dead-letters"), { prefix: "", extension: "ndjson" });
}

async function checkEmpty(directory: string, naming: PartNaming): Promise<void> {
  const found = (await filesOf(directory)).find((name) => parsePartFileName(naming, basename(name)) !== undefined);
  if (found !== undefined) throw leftOver(join(directory, found));
}

async function checkNoMessages(directory: string, operator: string): Promise<void> {
  const found = (await filesOf(directory)).find((name) => isMessageFile(operator, name));
  if (found !== undefined) throw leftOver(join(directory, found));
}

function leftOver(path: string): MillraceError {
  const advice = "results of an earlier run whose state is not here: delete them, or name another output directory";
  return new MillraceError("invalid", `${advice}: ${path}`);
}

async function filesOf(directory: string): Promise<readonly string[]> {
  try {
    const folders = await foldersIn(directory);
    return (
      await Promise.all(folders.map(async (folder) => (await readdir(join(directory, folder))).map((name) => join(folder, name))))
    ).flat();
  } catch {
    // Not there, or not to be read: the writer says so when it matters.
    return [];
  }
}
