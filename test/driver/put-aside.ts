/** What tests of dead letters that are given back share: a job with what it puts aside, and the giving. */
import assert from "node:assert/strict";
import { backLine } from "../../runtime/api/given-back.ts";
import type { BlobName } from "../../runtime/base/ids.ts";
import { encodeValue } from "../../runtime/base/message-pack.ts";
import { Environment } from "../../runtime/driver/environment.ts";
import { defaultEnvironment } from "../../runtime/driver/environment-options.ts";
import { rootTasks } from "../../runtime/driver/topology.ts";
import type { Job } from "../../runtime/index.ts";
import type { DeadLetterBatch, SinkEffect } from "../../runtime/ports/sink-driver.ts";
import { encodeGiven, type GivenLetter, givenName } from "../../runtime/snapshots/given-letters.ts";
import { harness, type HarnessOptions, type RunningHarness } from "../../runtime/testing/harness.ts";
import { TakenSnapshot } from "../../runtime/testing/harness-snapshot.ts";
import { replacing } from "./faulty-ports.ts";
import { type Death, Died, mortal } from "./mortal-ports.ts";

/** A job that runs, with what it has put aside and given its sinks, each once. */
export interface Watched {
  readonly running: RunningHarness;
  readonly put: readonly DeadLetterBatch[];
  readonly written: readonly SinkEffect[];
}

export async function watch(job: Job, options: HarnessOptions = {}): Promise<Watched> {
  const put: DeadLetterBatch[] = [];
  const written: SinkEffect[] = [];
  const letters = replacing("sinks", "deadLetters", (write) => async (batch) => {
    if (!put.some(({ task, seq }) => task === batch.task && seq === batch.seq)) put.push(batch);
    await write(batch);
  });
  const rows = replacing("sinks", "carryOut", (write) => async (effect) => {
    const isSame = ({ task, seq, n }: SinkEffect) => task === effect.task && seq === effect.seq && n === effect.n;
    if (!written.some(isSame)) written.push(effect);
    await write(effect);
  });
  const wrapPorts: HarnessOptions["wrapPorts"] = (ports) => letters(rows(options.wrapPorts?.(ports) ?? ports));
  return { running: (await harness(job, { parallelism: 2, ...options, wrapPorts })) as RunningHarness, put, written };
}

/** As they were put aside, each task's in its order. */
export function lettersIn(put: readonly DeadLetterBatch[]): readonly GivenLetter[] {
  return put.flatMap(({ generation, task, seq, letters }) =>
    letters.map(({ back, bytes }, n) => {
      assert.ok(back !== undefined, "what is an operator's says how it is given back");
      const text = Buffer.from(bytes).toString("base64");
      return { id: `${task} ${seq} ${n}`, generation, task, seq, back: backLine(back), bytes: text };
    }),
  );
}

export async function give({ ports }: RunningHarness, n: number, letters: readonly GivenLetter[]): Promise<void> {
  await ports.blobs.put(givenName(n), encodeGiven(letters), { ifAbsent: true });
}

/** The snapshot, with what was put aside given back. */
export async function givenBack({ running, put }: Watched): Promise<TakenSnapshot> {
  const snapshot = (await running.snapshot()) as TakenSnapshot;
  return snapshotWith(snapshot, new Map([...snapshot.blobs, [givenName(1), encodeGiven(lettersIn(put))] as const]));
}

export function snapshotWith(
  { name, manifest, sources, now }: TakenSnapshot,
  blobs: ReadonlyMap<BlobName, Uint8Array>,
): TakenSnapshot {
  return new TakenSnapshot({ name, manifest, sources, now, blobs });
}

/** Restores the checkpoint, with an environment that dies; another goes on. Whether it died. */
export async function restoreAndDie(running: RunningHarness, name: BlobName, { at, when }: Death): Promise<boolean> {
  const { topology } = await running.coordinator().restore(name);
  const ports = mortal(running.ports, at, when);
  const environment = new Environment(running.graph, ports, { ...defaultEnvironment, id: "mortal" });
  try {
    for (const { task } of topology.flatMap(rootTasks)) await environment.turn({ kind: "poke", task });
    return false;
  } catch (error) {
    if (!(error instanceof Died)) throw error;
    return true;
  } finally {
    await running.crash();
  }
}

/** Calls at which an environment dies: all of the first, fewer of those after them, until it has no more of them. */
export async function atEveryCall(attempt: (death: Death) => Promise<boolean>): Promise<number> {
  let deaths = 0;
  for (const when of ["before", "after"] as const)
    for (let at = 1; await attempt({ at, when }); at += 1 + Math.floor(at / 12)) deaths++;
  return deaths;
}

export function encode(item: unknown): string {
  return Buffer.from(encodeValue(item)).toString("base64");
}
