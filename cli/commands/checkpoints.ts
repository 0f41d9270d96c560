/** `millrace checkpoints`: what a job can begin again from; and which of them a text names. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { messageOf, MillraceError } from "../../runtime/base/errors.ts";
import type { BlobName } from "../../runtime/base/ids.ts";
import type { JobRecord } from "../../runtime/snapshots/job-record.ts";
import { decodeManifest, isTombstone, type Manifest } from "../../runtime/snapshots/manifest.ts";
import { checkpointIn } from "../../runtime/snapshots/names.ts";
import type { Answer } from "../answer.ts";
import { numberOf, readManifest, recordOf } from "../job-status.ts";
import { table } from "../layout.ts";
import type { StoredAt } from "../stored-values.ts";
import type { Target } from "../target/target.ts";
import { grouped, moment } from "../words.ts";

/** One that is kept. */
export interface CheckpointStatus {
  readonly number: number;
  readonly name: string;
  readonly kind: "checkpoint" | "savepoint";
  readonly generation: number;
  readonly deployment: number;
  /** Epoch ms. */
  readonly takenAt: number;
  /** Taken in since the job began. */
  readonly records: number;
  readonly tasks: number;
  /** What a restore without further words begins from. */
  readonly latest: boolean;
  /** The job went back behind it: only another job can begin from it. */
  readonly superseded: boolean;
}

export async function checkpoints(target: Target): Promise<Answer> {
  const record = await recordOf(target);
  const found = await listCheckpoints(record, target);
  if (found.length === 0) return { json: [], lines: ["no checkpoint is complete yet"] };
  const rows = found.map(({ number, kind, takenAt, generation, deployment, records, tasks, latest, superseded }) => [
    String(number),
    kind,
    moment(takenAt),
    String(generation),
    String(deployment),
    grouped(records),
    String(tasks),
    superseded ? "the job went back behind it" : latest ? "latest" : "",
  ]);
  const lines = table(["number", "kind", "taken", "generation", "deployment", "events", "tasks", ""], rows, [0, 3, 4, 5, 6]);
  const local = target.kind === "local" ? "JOB " : "";
  return { json: found, lines: [...lines, "", `go back to one:  millrace rollback ${local}${target.words} --to NUMBER`] };
}

export async function listCheckpoints(record: JobRecord, { ports }: Target): Promise<readonly CheckpointStatus[]> {
  const { retained, superseded, completed } = record;
  const names = new Set([...superseded, ...retained.map(({ manifest }) => manifest), ...(completed ? [completed] : [])]);
  const found: CheckpointStatus[] = [];
  for (const name of [...names].sort()) {
    const manifest = await readManifest(name, ports).catch(ifGone);
    if (manifest === undefined) continue;
    const { kind, generation, deployment, takenAt, totals, tasks } = manifest;
    const standing = { latest: name === completed, superseded: superseded.includes(name) };
    const counts = { records: totals.records, tasks: tasks.length };
    found.push({ number: numberOf(name), name, kind, generation, deployment, takenAt, ...counts, ...standing });
  }
  return found;
}

/** It was kept a moment ago, and is not any longer. */
function ifGone(error: unknown): undefined {
  if (error instanceof MillraceError && error.kind === "invalid") return undefined;
  throw error;
}

/** The name of the one that a text means: its number, its name, or "latest". Throws `invalid` for one that is not kept. */
export async function checkpointOf(target: Target, text: string): Promise<BlobName> {
  const { completed, retained, superseded, manifest } = await recordOf(target);
  if (text === "latest" && completed !== undefined) return completed;
  const names = [...retained.map((kept) => kept.manifest), ...superseded, completed, manifest];
  const number = /^\d+$/.test(text) ? Number(text) : undefined;
  const found = names.find(
    (name) => name !== undefined && (name === text || (number !== undefined && checkpointIn(name) === number)),
  );
  if (found !== undefined) return found;
  const asked = text === "latest" ? "no checkpoint is complete yet" : `no checkpoint ${JSON.stringify(text)} is kept`;
  throw new MillraceError("invalid", `${asked}; look at those that are:  millrace checkpoints ${target.words}`);
}

/** Reads the manifest that a text means: a file, or a checkpoint of the target, whose values `read` may then read too. */
export async function withManifest<T>(
  text: string,
  open: () => Promise<Target>,
  read: (manifest: Manifest, at: StoredAt | undefined) => Promise<T>,
): Promise<T> {
  if (existsSync(text)) return read(await manifestFile(text), undefined);
  const target = await open();
  try {
    const name = await checkpointOf(target, text);
    const { ports } = target;
    return await read(await readManifest(name, ports), { record: await recordOf(target), name, ports });
  } finally {
    await target.close();
  }
}

async function manifestFile(text: string): Promise<Manifest> {
  const manifest = manifestIn(await readFile(text), text);
  if (isTombstone(manifest)) throw new MillraceError("invalid", `this checkpoint was given up: ${manifest.abandoned}`);
  return manifest;
}

function manifestIn(bytes: Uint8Array, path: string) {
  try {
    return decodeManifest(bytes);
  } catch (cause) {
    throw new MillraceError("invalid", `this file is no manifest of a checkpoint: ${path}: ${messageOf(cause)}`, { cause });
  }
}
