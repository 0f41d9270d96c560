/** Refuses to begin a job where an earlier one has left results: both would stand beside each other, as if they were one. */
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { MillraceError } from "../runtime/base/errors.ts";
import { bindingOf, type Bindings } from "../runtime/connectors/bindings.ts";
import type { FileSinkSettings } from "../runtime/connectors/files/file-sink.ts";
import { parsePartFileName } from "../runtime/connectors/files/part-name.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";

interface Place {
  readonly output: string;
  readonly bindings?: Bindings;
}

/** Throws `invalid` when a directory that the job is about to write holds results already. */
export async function checkOutputs(job: JobGraph, { output, bindings = new Map() }: Place): Promise<void> {
  for (const { node } of job.operators.values()) {
    if (node.spec.kind !== "sink" || node.spec.sink.kind !== "files") continue;
    const settings = node.spec.sink.options as unknown as FileSinkSettings;
    const [path = settings.path] = bindingOf(bindings, node.uid, node.spec.sink.name) ?? [];
    await checkEmpty(resolve(output, path), settings);
  }
  await checkEmpty(join(resolve(output), "dead-letters"), { prefix: "", extension: "ndjson" });
}

async function checkEmpty(directory: string, naming: Pick<FileSinkSettings, "prefix" | "extension">): Promise<void> {
  const found = (await filesOf(directory)).find((name) => parsePartFileName(naming, name) !== undefined);
  if (found === undefined) return;
  const advice = "results of an earlier run whose state is not here: delete them, or name another output directory";
  throw new MillraceError("invalid", `${advice}: ${join(directory, found)}`);
}

async function filesOf(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch {
    // Not there, or not to be read: the writer says so when it matters.
    return [];
  }
}
